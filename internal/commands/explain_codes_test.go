package commands

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryCodeOfGraphIsExplained holds the tables to a list of the codes that
// Microsoft documents for calls, or that users of the calls API have reported.
func TestEveryCodeOfGraphIsExplained(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "codes.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || len(cells) != 3 {
			continue
		}
		n++
		code, retryable := cells[0], cells[1]
		e := Explain(code)
		if !e.Known || !strings.EqualFold(e.Code, code) && e.Code != code+"/0" {
			t.Errorf("Explain(%q) = %+v; want a row for this %s", code, e, cells[2])
		}
		if want := map[bool]string{true: "yes", false: "no"}[e.Retryable]; retryable != "-" && retryable != want {
			t.Errorf("Explain(%q).Retryable = %t; want %s", code, e.Retryable, retryable)
		}
		if main, sub, ok := strings.Cut(code, "/"); ok {
			m, _ := strconv.Atoi(main)
			s, _ := strconv.Atoi(sub)
			if x := ExplainResult(m, s); x.Message != e.Message || x.Code != code {
				t.Errorf("ExplainResult(%s) = %+v; want the row's own meaning", code, x)
			}
		}
		if !slices.ContainsFunc(Lookup(code), func(x Explanation) bool { return strings.EqualFold(x.Code, code) }) {
			t.Errorf("Lookup(%q) does not find the code's own row", code)
		}
	}
	if n != 136 {
		t.Errorf("%d codes in the list; want all of them", n)
	}
}

// said are the places in our sources where words of ours get into results and
// events.
var said = regexp.MustCompile(`(?:\b(?:Code|Reason|reason): |\bunknown\(|\binvalid\(|\.wait\(ctx, |\.hungUp\(ctx, |\breason = |\bReasonUnseen = )"([a-zA-Z]+)"`)

func TestEveryWordOfOursIsExplained(t *testing.T) {
	var words []string
	for _, room := range []string{"executor", "calls", "pacing", "callbacks", "commands", "graph"} {
		files, err := filepath.Glob(filepath.Join("..", room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("sources of %s: %v, %v", room, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range said.FindAllStringSubmatch(string(source), -1) {
				words = append(words, m[1])
			}
			if filepath.Base(file) == "errors.go" && room == "graph" {
				for _, m := range regexp.MustCompile(`Reason += "([a-zA-Z]+)"`).FindAllStringSubmatch(string(source), -1) {
					words = append(words, m[1])
				}
			}
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	if len(words) < 30 {
		t.Fatalf("found only %v in the sources", words)
	}
	for _, word := range words {
		if len(Lookup(word)) == 0 {
			t.Errorf("%q is said somewhere and not explained", word)
		}
	}
}
