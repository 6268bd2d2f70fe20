package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// State is how bad a finding is.
type State string

// The states. Warn may be as it is meant to be; Fail keeps calls from going out
// or news of them from coming in; Skip could not be looked at.
const (
	OK   State = "ok"
	Warn State = "warn"
	Fail State = "FAIL"
	Skip State = "skip"
)

// Finding is one line of the report.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what to do about it
}

func ok(check, format string, args ...any) Finding {
	return Finding{Check: check, State: OK, Found: line(fmt.Sprintf(format, args...))}
}

func warn(check, do, format string, args ...any) Finding {
	return Finding{check, Warn, line(fmt.Sprintf(format, args...)), line(do)}
}

func fail(check, do, format string, args ...any) Finding {
	return Finding{check, Fail, line(fmt.Sprintf(format, args...)), line(do)}
}

func skip(check, format string, args ...any) Finding {
	return Finding{Check: check, State: Skip, Found: line(fmt.Sprintf(format, args...))}
}

// line makes one line of a text that others had a hand in: no breaks, nothing
// that moves a cursor, no more than anybody reads.
func line(text string) string {
	const most = 600
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strings.TrimSpace(text)
}

// Count is how many findings have the state.
func Count(all []Finding, s State) (n int) {
	for _, f := range all {
		if f.State == s {
			n++
		}
	}
	return n
}

// Table writes a line for each finding and one that counts them.
func Table(w io.Writer, all []Finding) error {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%-4s  %-10s  %s", f.State, f.Check, f.Found)
		if f.Do != "" {
			b.WriteString(" → " + f.Do)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d ok, %d warn, %d FAIL, %d skip\n", Count(all, OK), Count(all, Warn), Count(all, Fail), Count(all, Skip))
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON writes one object: how many failed, and all findings.
func JSON(w io.Writer, all []Finding) error {
	if all == nil {
		all = []Finding{}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Failed   int       `json:"failed"`
		Warned   int       `json:"warned"`
		Findings []Finding `json:"findings"`
	}{Count(all, Fail), Count(all, Warn), all})
}

// size is bytes for people.
func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.bytes-unit.bytes/2048 { // which is rounded to it
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(unit.bytes)), ".0") + " " + unit.name
		}
	}
	return fmt.Sprintf("%d B", n)
}

// short is a duration for people: three digits are enough.
func short(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// ago is how long something is past, for people.
func ago(now, then time.Time) string { return short(max(now.Sub(then), 0)) + " ago" }

// expiresSoon is when an alert of ours says so, too.
const expiresSoon = 14 * 24 * time.Hour

// days is a time that is mostly days.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return short(d)
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// hostOf is the host of a URL, for people; the text itself when it is none.
func hostOf(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Host
	}
	return text
}
