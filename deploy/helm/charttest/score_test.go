package charttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubeScore is the scorer pinned in the module of tools.
var kubeScore = []string{"tool", "-modfile=" + tools, "kube-score", "score", "--output-format=ci", "--kubernetes-version=v1.30"}

const tools = "../../../tools/go.mod"

// TestLintScore asks kube-score. A trial pulls images only when they are missing,
// so that images loaded into a cluster by hand work; nothing else is let go.
func TestLintScore(t *testing.T) {
	for file, ignored := range map[string]string{"values-production.yaml": "", "values-trial.yaml": "container-image-pull-policy"} {
		t.Run(file, func(t *testing.T) {
			args := append([]string{}, kubeScore...)
			if ignored != "" {
				args = append(args, "--ignore-test="+ignored)
			}
			cmd := exec.CommandContext(t.Context(), "go", append(args, "-")...)
			cmd.Stdin = strings.NewReader(mustRender(t, values(t, file)).yaml)
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), "[OK] demo-callbus") {
				t.Fatalf("kube-score: %v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "[CRITICAL]") {
					t.Error(strings.TrimSpace(line))
				}
			}
			if err != nil && !t.Failed() {
				t.Errorf("kube-score: %v", err)
			}
		})
	}
}

// TestWriteManifests writes what the sets of values render to into
// MANIFESTS_DIR, for "make kube".
func TestWriteManifests(t *testing.T) {
	dir := os.Getenv("MANIFESTS_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, set := range []string{"values-trial.yaml", "values-production.yaml"} {
		text := mustRender(t, values(t, set)).yaml
		if err := os.WriteFile(filepath.Join(dir, set), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
