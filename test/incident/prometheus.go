package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"callbus/internal/ports"
	"callbus/test/chaos/fleet"
)

// prometheus is a running one.
type prometheus struct {
	cmd *exec.Cmd
	url string
}

// startPrometheus starts a Prometheus that scrapes the workers of a fleet and
// evaluates the rules, both in fast motion, and returns when it is ready.
func (f *cli) startPrometheus(ctx context.Context, fl *fleet.Fleet) (*prometheus, error) {
	addr, _, err := ports.Keep()
	if err != nil {
		return nil, err
	}
	config := "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files:\n"
	for i, file := range f.Rules {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := filepath.Join(fl.Dir(), fmt.Sprintf("rules-%d.yaml", i))
		if err := os.WriteFile(name, []byte(f.faster(string(text))), 0o600); err != nil {
			return nil, err
		}
		config += "  - " + name + "\n"
	}
	config += "scrape_configs:\n  - job_name: callbus\n    static_configs:\n      - labels: {namespace: incident}\n        targets: ["
	for i := range fl.Workers() {
		config += strings.TrimSuffix(strings.TrimPrefix(fl.MetricsURL(i), "http://"), "/metrics") + ","
	}
	file := filepath.Join(fl.Dir(), "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config+"]\n"), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(fl.Dir(), "logs", "prometheus.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &prometheus{url: "http://" + addr, cmd: exec.Command(f.Prometheus, "--config.file="+file, "--web.listen-address="+addr,
		"--storage.tsdb.path="+filepath.Join(fl.Dir(), "prometheus"))}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Prometheus: %w", err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		res, err := http.Get(p.url + "/-/ready")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			p.stop()
			return nil, fmt.Errorf("prometheus is not ready: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *prometheus) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// alert is one that Prometheus knows.
type alert struct {
	Labels      map[string]string
	Annotations map[string]string
	State       string
}

func (p *prometheus) firing() ([]alert, error) {
	res, err := http.Get(p.url + "/api/v1/alerts")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct{ Data struct{ Alerts []alert } }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	var firing []alert
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			firing = append(firing, a)
		}
	}
	return firing, nil
}

// value is what a query that answers one number says; 0 without an answer.
func (p *prometheus) value(ctx context.Context, query string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("read the answer to %s: %w", query, err)
	}
	if len(answer.Data.Result) != 1 {
		return 0, nil
	}
	return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
}

var durations = regexp.MustCompile(`(\[|for: |offset )([0-9]+)([smhd])\b`)

// faster divides the durations of rules by the factor.
func (f *cli) faster(rules string) string {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	return durations.ReplaceAllStringFunc(rules, func(s string) string {
		m := durations.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2]) // the pattern has digits alone
		d := time.Duration(n) * units[m[3]] / time.Duration(f.Factor)
		return fmt.Sprintf("%s%dms", m[1], d.Milliseconds())
	})
}
