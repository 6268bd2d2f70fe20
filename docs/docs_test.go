// Package docs_test holds the documents to the code: flags, metrics, words and
// JSON in them must be what the programs know.
package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"callbus/internal/commands"
	"callbus/internal/metrics"
)

const readme = "../README.md"

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// between is what stands between the comments <!-- name… --> and <!-- /name -->.
func between(t *testing.T, file, name string) string {
	t.Helper()
	_, rest, begun := strings.Cut(read(t, file), "<!-- "+name+":")
	_, rest, _ = strings.Cut(rest, "-->\n")
	part, _, ended := strings.Cut(rest, "<!-- /"+name+" -->")
	if !begun || !ended {
		t.Fatalf("%s has no part <!-- %s: … --> to <!-- /%s -->", file, name, name)
	}
	return part
}

// firstCells are the words in backticks that begin the rows of a table.
func firstCells(table string) []string {
	var words []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		words = append(words, m[1])
	}
	return words
}

var (
	flagLine = regexp.MustCompile(`^ {2,8}(?:-h, )?--([a-z-]+)(?:=("[^"]*"|\S+))?(?:\s{2,}(.*))?$`)
	variable = regexp.MustCompile(`\s*\(\$([A-Z_]+)\)\.$`)
)

// flagsTable is the help of the worker as the README's table.
func flagsTable(help string) string {
	type flag struct{ name, value, text string }
	var flags []flag
	for line := range strings.Lines(help) {
		line = strings.TrimRight(line, "\n")
		if m := flagLine.FindStringSubmatch(line); m != nil {
			flags = append(flags, flag{m[1], m[2], m[3]})
		} else if len(flags) > 0 && strings.TrimSpace(line) != "" {
			last := &flags[len(flags)-1]
			last.text = strings.TrimSpace(last.text + " " + strings.TrimSpace(line))
		}
	}
	var b strings.Builder
	b.WriteString("| flag | variable | default | meaning |\n|---|---|---|---|\n")
	for _, f := range flags {
		env := variable.FindStringSubmatch(f.text)
		if env == nil {
			continue // --help and --version
		}
		value := strings.Trim(f.value, `"`)
		if value == "STRING" || strings.Contains(value, ",...") || strings.Contains(value, ";...") {
			value = "" // a placeholder
		}
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", f.name, env[1], value, variable.ReplaceAllString(f.text, ""))
	}
	return b.String()
}

func TestFlagsOfTheReadmeAreTheWorkers(t *testing.T) {
	// The test cache sees what the test itself reads, not what go run does.
	sources, err := filepath.Glob("../cmd/worker/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("sources of the worker: %v, %v", sources, err)
	}
	for _, source := range sources {
		read(t, source)
	}
	cmd := exec.Command("go", "run", "./cmd/worker", "serve", "--help")
	cmd.Dir = ".."
	for _, v := range os.Environ() { // what is set here would show as a default
		if !strings.HasPrefix(v, "CALLBUS_") && !strings.HasPrefix(v, "NATS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	help, err := cmd.Output()
	if err != nil {
		t.Fatalf("worker serve --help: %v", err)
	}
	want := flagsTable(string(help))
	if diff := cmp.Diff(want, between(t, readme, "flags")); diff != "" {
		t.Errorf("README.md, flags (-worker +README):\n%s\nwant\n%s", diff, want)
	}
}

func TestMetricsOfTheReadmeAreThoseRegistered(t *testing.T) {
	reg := prometheus.NewRegistry()
	metrics.New(reg, metrics.Options{})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range families {
		want = append(want, f.GetName())
	}
	got := firstCells(between(t, readme, "metrics"))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.md, metrics (-registered +README):\n%s", diff)
	}
}

func TestWordsOfTheDocumentsAreTheVocabulary(t *testing.T) {
	var statuses, causes []string
	for _, s := range commands.Statuses {
		statuses = append(statuses, string(s))
	}
	for _, c := range commands.Causes {
		causes = append(causes, string(c))
	}
	_, table, found := strings.Cut(read(t, readme), "| status | final | means |")
	table, _, ended := strings.Cut(table, "\n\n")
	if !found || !ended {
		t.Fatal("README.md has no table of statuses")
	}
	if diff := cmp.Diff(statuses, firstCells(table)); diff != "" {
		t.Errorf("README.md, statuses (-code +README):\n%s", diff)
	}
	if diff := cmp.Diff(causes, firstCells(between(t, "operators.md", "causes"))); diff != "" {
		t.Errorf("operators.md, causes (-code +document):\n%s", diff)
	}
}

var (
	jsonBlock = regexp.MustCompile("(?ms)^```json\n(.*?)^```")
	natsPub   = regexp.MustCompile(`nats pub --jetstream calls\.commands\.([\w-]+)\.([\w-]+)\.(\w+) '([^']+)'`)
)

// commandsOf are the commands that a document shows: nats pub lines, NDJSON
// lines of "publisher send", and bodies, whose action the block does not say.
func commandsOf(document string) []shown {
	var all []shown
	for _, m := range natsPub.FindAllStringSubmatch(document, -1) {
		all = append(all, shown{commands.Action(m[3]), m[4]})
	}
	for _, block := range jsonBlock.FindAllStringSubmatch(document, -1) {
		dec := json.NewDecoder(strings.NewReader(block[1]))
		for dec.More() {
			members := map[string]json.RawMessage{}
			if err := dec.Decode(&members); err != nil {
				all = append(all, shown{"", block[1]})
				break
			}
			if _, isResult := members["status"]; isResult || members["id"] == nil {
				continue
			}
			action := commands.Place
			if members["callId"] != nil {
				action = commands.Redirect
			}
			if named := members["action"]; named != nil {
				action = commands.Action(strings.Trim(string(named), `"`))
			}
			for _, own := range []string{"callRef", "action", "expect", "delay"} {
				delete(members, own)
			}
			body, _ := json.Marshal(members) // raw JSON that was just read
			all = append(all, shown{action, string(body)})
		}
	}
	return all
}

type shown struct {
	action commands.Action
	body   string
}

func TestCommandsInTheDocumentsAreValid(t *testing.T) {
	for file, atLeast := range map[string]int{readme: 1, "producers.md": 4} {
		found := commandsOf(read(t, file))
		if len(found) < atLeast {
			t.Errorf("%s shows %d commands; want at least %d", file, len(found), atLeast)
		}
		for _, c := range found {
			published := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
			opts := commands.DecodeOptions{Published: published, DefaultTenant: "aaaabbbb-0000-cccc-1111-dddd2222eeee"}
			if _, err := commands.Decode(commands.CallKey{Producer: "crm", CallRef: "order-1"}, c.action, []byte(c.body), opts); err != nil {
				t.Errorf("%s: %s %s: %v", file, c.action, c.body, err)
			}
		}
	}
}

func TestResultsInTheReadmeHaveTheirShape(t *testing.T) {
	found := 0
	for _, block := range jsonBlock.FindAllStringSubmatch(read(t, readme), -1) {
		dec := json.NewDecoder(strings.NewReader(block[1]))
		dec.DisallowUnknownFields()
		var r commands.Result
		if err := dec.Decode(&r); err != nil {
			t.Errorf("README.md: %s: %v", block[1], err)
		} else if !slices.Contains(commands.Statuses, r.Status) {
			t.Errorf("README.md: status %q", r.Status)
		}
		found++
	}
	if found == 0 {
		t.Error("README.md shows no result")
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s#:]+)?(?:#([^)\s]+))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

func TestLinksInTheDocumentsLeadSomewhere(t *testing.T) {
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, readme, "../ARCHITECTURE.md", "../CHANGELOG.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			target := file
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(file), m[1])
			}
			text, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s links to %s, which does not exist", file, m[1])
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(string(text)), m[2]) {
				t.Errorf("%s links to %s#%s, which has no such heading", file, m[1], m[2])
			}
		}
	}
}

// anchors are the names of a document's headings in links.
func anchors(document string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(document, -1) {
		name := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		names = append(names, regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(name, ""))
	}
	return names
}
