package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"callbus/internal/commands"
)

// explainCmd says what a code means. It asks nobody: the table is part of the
// program.
type explainCmd struct {
	Code string `arg:"" optional:"" help:"A code, code/subcode, HTTP status or word of a result or event, such as 7505, 486/560486, 503 or callLives; all of them by default."`
}

func (c *explainCmd) Run(s *session) error {
	if c.Code == "" {
		s.listExplanations(commands.Explanations())
		return nil
	}
	found := commands.Lookup(c.Code)
	known := len(found) > 0 && found[0].Known
	if len(found) == 0 {
		found = byRangeAlone(c.Code)
	}
	for _, e := range found {
		s.explain(e)
	}
	if known {
		return nil
	}
	text := "no meaning is known for " + clean(c.Code)
	if near := commands.Near(c.Code); len(near) > 0 {
		text += "; near to it: " + strings.Join(near, ", ")
	}
	return fmt.Errorf("%s (publisher explain lists all)", text)
}

// byRangeAlone is what a SIP status without a row of its own means by its
// range; nothing for any other text.
func byRangeAlone(code string) []commands.Explanation {
	e := commands.Explain(code)
	if e.Source == "" {
		return nil
	}
	return []commands.Explanation{e}
}

// explain writes one meaning.
func (s *session) explain(e commands.Explanation) {
	if s.json() {
		s.printJSON(e)
		return
	}
	lines := []string{e.Code + "  " + e.Reason + ", class " + string(e.Class), "  meaning  " + e.Message, "  retry    " + advice(e)}
	if e.Source != "" {
		lines = append(lines, "  source   "+e.Source)
	}
	fmt.Fprintln(s.std.out, strings.Join(lines, "\n"))
}

// advice is whether and how to do it again.
func advice(e commands.Explanation) string {
	text := "no"
	switch {
	case e.Normal && e.Hint == "":
		return "nothing to do: a normal end"
	case e.Retryable:
		text = "a new command may succeed"
	}
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// listExplanations writes the whole table, a line a code.
func (s *session) listExplanations(all []commands.Explanation) {
	if s.json() {
		for _, e := range all {
			s.printJSON(e)
		}
		return
	}
	w := tabwriter.NewWriter(s.std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CODE\tREASON\tCLASS\tRETRY\tMEANING")
	for _, e := range all {
		retry := "no"
		if e.Retryable {
			retry = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Code, e.Reason, e.Class, retry, e.Message)
	}
	_ = w.Flush() // a pipe that is closed has had enough
}
