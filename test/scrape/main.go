// Scrape runs "worker dev", lets two calls through it and prints what it answers
// a scrape, for "promtool check metrics". Its argument is the worker's binary. The
// worker listens on free loopback ports and leaves nothing behind.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const place = `{"id": "place", "parameters": {"targets": [{"identity": {"user": {"id": "112f7296-5fa4-42ca-bae8-6a692b15d%03d"}}}]}}`

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "scrape: want one argument, the worker's binary")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "scrape: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, worker string, out io.Writer) (err error) {
	cmd := exec.CommandContext(ctx, worker, "dev", "--nats-listen=127.0.0.1:0", "--sim-listen=127.0.0.1:0",
		"--callback-listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--log-level=error")
	cmd.Stderr = os.Stderr
	told, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		stopped := cmd.Process.Signal(syscall.SIGTERM)
		if ended := errors.Join(stopped, cmd.Wait()); err == nil && ended != nil {
			err = fmt.Errorf("stop the worker: %w", ended)
		}
	}()
	addresses, err := ready(told)
	if err != nil {
		return err
	}
	if err := settle(ctx, addresses["nats"]); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addresses["metrics"], nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /metrics: %s", res.Status)
	}
	_, err = io.Copy(out, res.Body)
	return err
}

// ready reads the addresses that the worker prints, until it says that it is
// ready.
func ready(told io.Reader) (map[string]string, error) {
	addresses := map[string]string{}
	for lines := bufio.NewScanner(told); lines.Scan(); {
		switch words := strings.Fields(lines.Text()); len(words) {
		case 1:
			if words[0] == "ready" {
				return addresses, nil
			}
		case 2:
			addresses[words[0]] = words[1]
		}
	}
	return nil, errors.New("the worker ended before it was ready")
}

// settle publishes a call that is answered and one that is busy, and blocks
// until both places have their outcome: the page then shows numbers, not zeros.
func settle(ctx context.Context, url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	callees := map[string]int{"answered": 1, "busy": 486}
	for call, callee := range callees {
		if _, err := js.Publish(ctx, "calls.commands.lint."+call+".place", fmt.Appendf(nil, place, callee)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	results, err := js.OrderedConsumer(ctx, "CALL_RESULTS", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"calls.results.lint.*.place"}})
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	for final := 0; final < len(callees); {
		msg, err := results.Next(jetstream.FetchContext(ctx))
		if err != nil {
			return fmt.Errorf("wait for outcomes: %w", err)
		}
		var result struct {
			Final bool `json:"final"`
		}
		if err := json.Unmarshal(msg.Data(), &result); err != nil {
			return fmt.Errorf("read a result: %w", err)
		}
		if result.Final {
			final++
		}
	}
	return nil
}
