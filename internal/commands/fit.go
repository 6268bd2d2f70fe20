package commands

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"
)

// maxCutText is the length in bytes that messages and hints are cut to when
// cutting the data is not enough.
const maxCutText = 512

// Fit returns the record cut so that its JSON has at most max bytes. A record
// that fits is returned as it is. Otherwise data becomes a JSON text that holds
// as much of its beginning as there is room for, with truncated set, bytes its
// whole length and sha256 the hash of the whole. Where that is not enough data
// goes altogether, then the ends of long messages, then the metadata; 8 KiB
// are always enough.
func (r Result) Fit(max int) Result {
	if r.Data != nil && !json.Valid(r.Data) {
		r.Data = quote(string(r.Data)) // or the record could not be published at all
	}
	over := func() bool { return size(r) > max }
	if !over() {
		return r
	}
	if r.Data != nil && !r.Truncated {
		whole := r.Data
		r.Truncated, r.Bytes, r.SHA256 = true, len(whole), hash(whole)
		r.Data = quote("")
		r.Data = quote(prefix(string(whole), max-size(r)))
	}
	if over() {
		r.Data = nil
	}
	if over() {
		r.Error, r.Operation = r.Error.short(), r.Operation.short()
	}
	if over() {
		r.Metadata = nil
	}
	return r
}

// Fit returns the event cut so that its JSON has at most max bytes, as
// [Result.Fit] does with data: here raw is cut, and after it answeredBy goes.
func (e Event) Fit(max int) Event {
	if e.Raw != nil && !json.Valid(e.Raw) {
		e.Raw = quote(string(e.Raw))
	}
	over := func() bool { return size(e) > max }
	if !over() {
		return e
	}
	if e.Raw != nil && !e.Truncated {
		whole := e.Raw
		e.Truncated, e.Bytes, e.SHA256 = true, len(whole), hash(whole)
		e.Raw = quote("")
		e.Raw = quote(prefix(string(whole), max-size(e)))
	}
	if over() {
		e.Raw = nil
	}
	if over() {
		e.AnsweredBy = nil
	}
	if over() {
		e.ResultInfo, e.Operation = e.ResultInfo.short(), e.Operation.short()
	}
	return e
}

// size is the length of the JSON of a record whose raw members are valid.
func size(record any) int {
	b, err := json.Marshal(record)
	if err != nil {
		return 0 // unmarshalable records are found where they are published
	}
	return len(b)
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func quote(s string) json.RawMessage {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return b
}

// prefix is the longest beginning of s whose JSON text needs at most room
// bytes between its quotes, and that ends between two characters.
func prefix(s string, room int) string {
	for i, r := range s {
		room -= jsonCost(r)
		if room < 0 {
			return s[:i]
		}
	}
	return s
}

// jsonCost is at least the number of bytes encoding/json needs for r.
func jsonCost(r rune) int {
	switch {
	case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t':
		return 2
	case r < ' ' || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError:
		return 6
	}
	return utf8.RuneLen(r)
}

func (e *Error) short() *Error {
	if e == nil {
		return nil
	}
	cut := *e
	cut.Message, cut.Hint = prefix(e.Message, maxCutText), prefix(e.Hint, maxCutText)
	cut.ResultInfo = e.ResultInfo.short()
	return &cut
}

func (o *Operation) short() *Operation {
	if o == nil {
		return nil
	}
	cut := *o
	cut.ResultInfo = o.ResultInfo.short()
	return &cut
}

func (i *ResultInfo) short() *ResultInfo {
	if i == nil {
		return nil
	}
	cut := *i
	cut.Message = prefix(i.Message, maxCutText)
	return &cut
}
