package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// token opens the API server, which listens on loopback and lives as long as
// the check.
const token = "kubetest"

// cluster is etcd and an API server; there are no nodes and no controllers.
type cluster struct {
	dir, url string
	procs    []*exec.Cmd
}

func startCluster(ctx context.Context, bin, dir string) (*cluster, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, url: "https://127.0.0.1:" + ports[2]}
	files := map[string][]byte{
		"sa.key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		"tokens": []byte(token + `,admin,admin,"system:masters"` + "\n"),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	etcd, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	err = c.start(bin, "etcd", "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	if err == nil {
		err = c.start(bin, "kube-apiserver", "--etcd-servers="+etcd, "--bind-address=127.0.0.1", "--secure-port="+ports[2], "--cert-dir="+filepath.Join(dir, "certs"),
			"--service-cluster-ip-range=10.0.0.0/24", "--token-auth-file="+filepath.Join(dir, "tokens"), "--authorization-mode=RBAC",
			"--service-account-issuer=https://kubetest.invalid", "--service-account-key-file="+filepath.Join(dir, "sa.key"), "--service-account-signing-key-file="+filepath.Join(dir, "sa.key"),
			// There is no controller that would make accounts.
			"--disable-admission-plugins=ServiceAccount")
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	deadline := time.Now().Add(3 * time.Minute)
	for {
		out, err := c.kubectl(ctx, "", "get", "--raw=/readyz")
		if err == nil {
			return c, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "kube-apiserver.log"))
			c.stop()
			return nil, fmt.Errorf("the API server is not ready: %s: %s", out, log[max(0, len(log)-2000):])
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (c *cluster) start(bin, name string, args ...string) error {
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c.procs = append(c.procs, cmd)
	return nil
}

func (c *cluster) stop() {
	for _, p := range c.procs {
		_ = p.Process.Kill() // the only error is that it has ended
		_ = p.Wait()
	}
}

// kubectl returns what it printed, complaints included.
func (c *cluster) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig=/dev/null", "--server=" + c.url, "--insecure-skip-tls-verify", "--token=" + token, "--cache-dir=" + filepath.Join(c.dir, "cache")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// prepare makes the CRDs known and a namespace in which pods must be restricted.
func (c *cluster) prepare(ctx context.Context) error {
	version, err := c.kubectl(ctx, "", "get", "--raw=/version")
	if err != nil {
		return fmt.Errorf("version: %s", version)
	}
	var v struct{ GitVersion string }
	if err := json.Unmarshal([]byte(version), &v); err != nil {
		return err
	}
	fmt.Println("kube-apiserver", v.GitVersion)
	for _, crd := range crds {
		out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", crd.module).Output()
		if err != nil {
			return fmt.Errorf("go mod download %s: %w", crd.module, err)
		}
		var m struct{ Dir string }
		if err := json.Unmarshal(out, &m); err != nil {
			return err
		}
		if out, err := c.kubectl(ctx, "", "create", "-f", filepath.Join(m.Dir, crd.file)); err != nil {
			return fmt.Errorf("%s: %s", crd.file, out)
		}
	}
	// kubectl complains of a CRD that has no conditions at all yet.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		out, err := c.kubectl(ctx, "", "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
		if err == nil {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("CRDs: %s", out)
		}
	}
	for _, args := range [][]string{
		{"create", "namespace", namespace},
		{"label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted"},
	} {
		if out, err := c.kubectl(ctx, "", args...); err != nil {
			return fmt.Errorf("namespace: %s", out)
		}
	}
	return nil
}

func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // not before all are found, so that they differ
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}
