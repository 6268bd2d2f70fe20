package executor

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
	"callbus/internal/graph"
)

var update = flag.Bool("update", false, "write the table of docs/failures.md anew")

const failuresPage = "../../docs/failures.md"

// failureColumns are the columns of the page's table. All thirteen actions
// stand in them; those in one column must be treated alike in every row.
var failureColumns = [][]commands.Action{
	{commands.Place},
	{commands.PlayPrompt},
	{commands.Transfer, commands.Redirect},
	{commands.Mute, commands.Unmute, commands.CancelMediaProcessing},
	{commands.GetCall, commands.ListParticipants, commands.ListContentSharingSessions, commands.GetContentSharingSession},
	{commands.Hangup},
	{commands.KeepAlive},
}

// failure is a row of the table: one kind of failure. Its name is what
// producers read. The numbers in it, HTTP statuses and codes of Graph's, are
// what the test has Graph answer.
type failure struct {
	name  string
	how   probe
	found *found // not an answer: what a worker finds in the journal
}

var failures = []failure{
	{name: "the worker stops, or its lease is too short to send", how: guardRefuses},
	{name: "no token to be had", how: noToken},
	{name: "401, also with a fresh token; 7501", how: saidSo},
	{name: "no connection to Graph", how: noConnection},
	{name: "the worker's grace period ended before the request left", how: cutBefore},
	{name: "429; 8516", how: saidSo},
	{name: "8530, too many live calls", how: saidSo},
	{name: "8529, the month's calls are used up", how: saidSo},
	{name: "404, 410; 8522, 8528", how: saidSo},
	{name: "409, 412, 423; 8519, 8583, 8607, something else is under way", how: saidSo},
	{name: "8501, 8503, 8585, the wrong moment", how: saidSo},
	{name: "403, 407, 451; 7500, 7502, 7503, 7504, 7505, 7506, 7507, not permitted", how: saidSo},
	{name: "400 and every other 4xx; 8500, 8520, 8523, 8526, 8527, 8548, 8561, 8566", how: saidSo},
	{name: "a 404 page of another server (a wrong address)", how: page},
	{name: "503, 425 with a Retry-After", how: saidWhen},
	{name: "503, 425 with Graph's error", how: saidSo},
	{name: "503, 425 with neither", how: saidNothing},
	{name: "500 and every other 5xx with Graph's error; 9001, 9002, 9003, 9998, 9999", how: saidSo},
	{name: "500 and every other 5xx without", how: saidNothing},
	{name: "408, 502, 504", how: saidSo},
	{name: "no answer: timeout, connection cut", how: noAnswer},
	{name: "a 2xx that cannot be read, such as 201", how: saidNothing},
	{name: "the worker dies before `started` is stored", found: &found{}},
	{name: "the worker dies after `started`, before or after the request left", found: &found{started: true}},
	{name: "the same, and the call has ended meanwhile", found: &found{started: true, ended: true}},
	{name: "the call has ended before the command was sent", found: &found{ended: true}},
	{name: "`expiresAt` passes before it was sent", found: &found{late: true}},
	{name: "`expiresAt` passes after an answer was lost", found: &found{started: true, late: true}},
	{name: "a closed gate opens after `expiresAt`", found: &found{gated: true}},
}

// row makes the table's row of a failure, from what the code does.
func (f failure) row(t *testing.T, desk *graphDesk, cell func(*found, commands.Action) string) string {
	t.Helper()
	var cells map[commands.Action]string
	var wait, gate string
	if f.found != nil {
		cells = map[commands.Action]string{}
		for _, a := range commands.Actions {
			cells[a] = cell(f.found, a)
		}
	} else {
		for i, e := range f.how(t, desk, f.name) {
			c, w, g := judged(t, e)
			if i > 0 && (!cmp.Equal(cells, c) || w != wait || g != gate) {
				t.Errorf("%s: %v is treated otherwise (-others +it):\n%s wait %q, %q, gate %q, %q", f.name, e, cmp.Diff(cells, c), wait, w, gate, g)
			}
			cells, wait, gate = c, w, g
		}
	}
	line := "| " + f.name + " |"
	for _, column := range failureColumns {
		for _, a := range column[1:] {
			if cells[a] != cells[column[0]] {
				t.Errorf("%s: %s is %q and %s is %q, but they share a column", f.name, a, cells[a], column[0], cells[column[0]])
			}
		}
		line += " " + cells[column[0]] + " |"
	}
	for _, last := range []string{wait, gate} {
		line += strings.TrimRight(" "+last, " ") + " |"
	}
	return line
}

var failuresTable = regexp.MustCompile(`(?s)(<!-- failures: .*? -->\n).*?(<!-- /failures -->)`)

// TestFailuresPage holds the page for producers to the code: for every kind of
// failure and every action, the table says what happens next. With -update it
// writes the table.
func TestFailuresPage(t *testing.T) {
	desk := openGraphDesk(t)
	outcomes := tryFound(t)
	var b strings.Builder
	b.WriteString("| what goes wrong |")
	named := 0
	for _, column := range failureColumns {
		for i, a := range column {
			named++
			b.WriteString(strings.Repeat(",", min(i, 1)) + " `" + string(a) + "`")
		}
		b.WriteString(" |")
	}
	if named != len(commands.Actions) {
		t.Errorf("the table has %d actions; want all %d", named, len(commands.Actions))
	}
	b.WriteString(" waits as, and how long | closes the gate of |\n" + strings.Repeat("|---", len(failureColumns)+3) + "|\n")
	words := map[string]bool{}
	for _, f := range failures {
		line := f.row(t, desk, outcomes.cell)
		b.WriteString(line + "\n")
		for _, cell := range strings.Split(line, "|")[2 : 2+len(failureColumns)] {
			word, _, _ := strings.Cut(strings.TrimSpace(cell), " ")
			words[word] = true
		}
	}
	for _, reason := range allReasons {
		if !desk.seen[reason] && reason != graph.BadRequest { // which only a fault of ours makes
			t.Errorf("no row is about %s", reason)
		}
	}

	text, err := os.ReadFile(failuresPage)
	if err != nil {
		t.Fatal(err)
	}
	if !failuresTable.Match(text) {
		t.Fatalf("%s has no part <!-- failures: … --> to <!-- /failures -->", failuresPage)
	}
	want := failuresTable.ReplaceAllString(string(text), "${1}"+strings.ReplaceAll(b.String(), "$", "$$")+"${2}")
	for word := range words {
		if !strings.Contains(want, "| `"+word+"` |") {
			t.Errorf("%s does not say what %q means", failuresPage, word)
		}
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		if *update && !t.Failed() {
			if err := os.WriteFile(failuresPage, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("%s (-code +page); go test ./internal/executor -run TestFailuresPage -update writes it:\n%s", failuresPage, diff)
	}
}

var number = regexp.MustCompile(`\b\d{3,4}\b`)

// numbers are the HTTP statuses and the codes of Graph's that a row is about.
func numbers(t *testing.T, name string) (statuses []int, codes []string) {
	t.Helper()
	for _, text := range number.FindAllString(name, -1) {
		if len(text) == 4 {
			codes = append(codes, text)
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, n)
		switch { // some of the others that the row is said to cover
		case strings.Contains(name, "every other 4xx"):
			statuses = append(statuses, 405, 411, 413, 415, 422, 431)
		case strings.Contains(name, "every other 5xx"):
			statuses = append(statuses, 501, 505, 507, 509, 599)
		}
	}
	slices.Sort(statuses)
	return slices.Compact(statuses), codes
}
