package charttest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// moduleDir is the worker's module.
const moduleDir = "../../.."

var built struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

// worker builds the worker once and returns the binary's path.
func worker(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.err = readSources(); built.err != nil {
			return
		}
		var dir string
		if dir, built.err = os.MkdirTemp("", "charttest"); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "worker")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/worker")
		cmd.Dir = moduleDir
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = errors.New("go build ./cmd/worker: " + string(out))
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// readSources looks into the folders of the worker's sources, so that the test
// cache, which does not see what go build reads, notices when they change.
func readSources() error {
	for _, folder := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(moduleDir, folder), func(_ string, _ os.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// flag is a line of the help such as "  -o, --output=TYPE   text".
var flag = regexp.MustCompile(`(?m)^ {2,8}(?:-\w, |)--(?:\[no-\])?([a-z][a-z0-9-]*)(?:[= ]|$)(.*)`)

// serveFlags are the flags that "worker serve --help" prints, with the text of
// their line.
func serveFlags(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command(worker(t), "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("worker serve --help: %v: %s", err, out)
	}
	flags := map[string]string{}
	for _, match := range flag.FindAllStringSubmatch(string(out), -1) {
		flags[match[1]] = match[2]
	}
	delete(flags, "help")
	delete(flags, "version")
	if len(flags) < 30 {
		t.Fatalf("worker serve --help shows %d flags:\n%s", len(flags), out)
	}
	return flags
}

// valueName is a flag's name under "worker": nats-url is natsUrl.
func valueName(flag string) string {
	words := strings.Split(flag, "-")
	for i, w := range words[1:] {
		words[i+1] = string(unicode.ToUpper(rune(w[0]))) + w[1:]
	}
	return strings.Join(words, "")
}

func TestEveryFlagIsAValueAndEveryValueAFlag(t *testing.T) {
	var want []string
	for name := range serveFlags(t) {
		want = append(want, valueName(name))
	}
	slices.Sort(want)

	text, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defaults := parse(t, string(text))["worker"].(map[string]any)
	if diff := cmp.Diff(want, keys(defaults)); diff != "" {
		t.Errorf("values.yaml, worker (-flags +values):\n%s", diff)
	}

	var schema struct {
		Properties struct {
			Worker struct {
				Properties map[string]json.RawMessage `json:"properties"`
			} `json:"worker"`
		} `json:"properties"`
	}
	text, err = os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, keys(schema.Properties.Worker.Properties)); diff != "" {
		t.Errorf("values.schema.json, worker (-flags +values):\n%s", diff)
	}
}

// A full set of values gives every flag, but for the password, which goes by
// the environment, once or, for lists, once a member.
func TestEveryFlagIsRendered(t *testing.T) {
	args := mustRender(t, values(t, "full.yaml")).deployment.Spec.Template.Spec.Containers[0].Args
	rendered := map[string]bool{"nats-password": true}
	for _, arg := range args[1:] {
		name, _, found := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !found {
			t.Errorf("argument %q is not --flag=value", arg)
		}
		rendered[name] = true
	}
	if diff := cmp.Diff(keys(serveFlags(t)), keys(rendered)); diff != "" {
		t.Errorf("flags (-binary +rendered):\n%s", diff)
	}
}

func TestNumbersAndListsAreRenderedAsTheFlagsTakeThem(t *testing.T) {
	args := mustRender(t, values(t, "full.yaml")).deployment.Spec.Template.Spec.Containers[0].Args
	for _, want := range []string{
		"--commands-max-bytes=2147483648", "--results-max-bytes=107374182400", "--stream-replicas=3",
		"--tenant=11111111-1111-1111-1111-111111111111", "--tenant=22222222-2222-2222-2222-222222222222",
		"--allow-phone=+49", "--allow-phone=+4314", "--incoming-route=11111111-1111-1111-1111-111111111111=crm",
		"--max-call-duration=0", "--nats-creds=/etc/callbus/nats/creds",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("args lack %s:\n%s", want, strings.Join(args, "\n"))
		}
	}
}

// The last flag is wrong on purpose: what the worker complains of must be that
// one, so it took every flag before it, by name and by type.
func TestTheWorkerTakesEveryRenderedFlag(t *testing.T) {
	args := mustRender(t, values(t, "full.yaml")).deployment.Spec.Template.Spec.Containers[0].Args
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, worker(t), append(args, "--log-format=wrong-on-purpose")...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("worker: %v; want exit code 2\n%s", err, out)
	}
	if !strings.Contains(string(out), "wrong-on-purpose") {
		t.Errorf("worker refuses something else than --log-format:\n%s", out)
	}
}

// The chart computes the pod's time to stop from the grace period and has to
// know the default.
func TestTheChartKnowsTheDefaultGracePeriod(t *testing.T) {
	if line := serveFlags(t)["grace-period"]; !strings.HasPrefix(line, "30s") {
		t.Errorf("--grace-period=%s; the chart takes 30s for its default", line)
	}
}
