package commands

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Cause is why a message is a dead letter.
type Cause string

// The closed set of causes.
const (
	CauseInvalid         Cause = "invalid"         // read, but against the contract
	CauseUnreadable      Cause = "unreadable"      // no JSON object
	CauseTooLarge        Cause = "tooLarge"        // more than MaxBody
	CauseIDConflict      Cause = "idConflict"      // the id was used with another body
	CauseNoSuchCall      Cause = "noSuchCall"      // the callRef was never placed or bound
	CauseCallLives       Cause = "callLives"       // a second place while the call lives
	CauseCallOwned       Cause = "callOwned"       // the callId belongs to someone else
	CauseTenantNotServed Cause = "tenantNotServed" // a tenant the deployment does not list
	CausePhoneNotAllowed Cause = "phoneNotAllowed" // a number outside --allow-phone
	CauseUnknown         Cause = "unknown"         // Graph may or may not have done it
	CauseInternal        Cause = "internal"        // a fault of ours
)

// Causes lists every cause.
var Causes = []Cause{CauseInvalid, CauseUnreadable, CauseTooLarge, CauseIDConflict, CauseNoSuchCall, CauseCallLives,
	CauseCallOwned, CauseTenantNotServed, CausePhoneNotAllowed, CauseUnknown, CauseInternal}

// DeadLetter is a command that needs a look, with all that is known about it.
type DeadLetter struct {
	Producer  string `json:"producer"`
	CallRef   string `json:"callRef"`
	CommandID string `json:"commandId"` // "_" and the sequence when the id was unusable
	Action    Action `json:"action"`
	Cause     Cause  `json:"cause"`
	Error     *Error `json:"error,omitempty"`
	// Time is when the letter was written.
	Time time.Time `json:"time"`
	// Subject, Sequence and Headers are the original message's.
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Headers  map[string][]string `json:"headers,omitempty"`
	// Ledger is the command's records, the oldest first.
	Ledger []Result `json:"ledger,omitempty"`
	// Original is the body as received; see [DeadLetter.SetOriginal].
	Original string `json:"original"`
	// OriginalEncoding is "base64" for a body that is not UTF-8, else absent.
	OriginalEncoding string `json:"originalEncoding,omitempty"`

	// Truncated, Bytes and SHA256 say that Original was cut to fit the server's
	// max_payload, how long the body was and what it was.
	Truncated bool   `json:"truncated,omitempty"`
	Bytes     int    `json:"bytes,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
}

const base64Encoding = "base64"

// Key is the command the letter is about.
func (d DeadLetter) Key() Key { return Key{d.Producer, d.CallRef, d.CommandID} }

// SetOriginal stores the message's body: as it is when it is UTF-8, else as
// standard base64.
func (d *DeadLetter) SetOriginal(body []byte) {
	d.Original, d.OriginalEncoding = string(body), ""
	if !utf8.Valid(body) {
		d.Original, d.OriginalEncoding = base64.StdEncoding.EncodeToString(body), base64Encoding
	}
}

// OriginalBody gives back the body byte for byte. It fails when the letter
// holds only its beginning, or does not hold what it says.
func (d DeadLetter) OriginalBody() ([]byte, error) {
	switch {
	case d.Truncated:
		return nil, fmt.Errorf("original was cut to %d of %d bytes", len(d.Original), d.Bytes)
	case d.OriginalEncoding == "":
		return []byte(d.Original), nil
	case d.OriginalEncoding != base64Encoding:
		return nil, fmt.Errorf("original is encoded as %q: want %q or nothing", d.OriginalEncoding, base64Encoding)
	}
	body, err := base64.StdEncoding.DecodeString(d.Original)
	if err != nil {
		return nil, fmt.Errorf("decode original: %w", err)
	}
	return body, nil
}

// maxLedgerRecord is the size in bytes that records are cut to in a letter
// that does not fit.
const maxLedgerRecord = 4 << 10

// Fit returns the letter cut so that its JSON has at most max bytes: first the
// data in the ledger, then the end of the original (with truncated, bytes and
// sha256 of the whole body), then the older half of the ledger as often as it
// takes, then the headers. 16 KiB are always enough.
func (d DeadLetter) Fit(max int) DeadLetter {
	over := func() bool { return size(d) > max }
	if !over() {
		return d
	}
	d.Ledger = slices.Clone(d.Ledger)
	for i := range d.Ledger {
		d.Ledger[i] = d.Ledger[i].Fit(maxLedgerRecord)
	}
	if over() && !d.Truncated {
		whole, err := d.OriginalBody()
		if err != nil { // not what SetOriginal wrote
			whole, d.OriginalEncoding = []byte(d.Original), ""
		}
		d.Truncated, d.Bytes, d.SHA256 = true, len(whole), hash(whole)
		text := d.Original
		d.Original = ""
		d.Original = prefix(text, max-size(d))
		if d.OriginalEncoding == base64Encoding {
			d.Original = d.Original[:len(d.Original)/4*4]
		}
	}
	for over() && len(d.Ledger) > 1 {
		d.Ledger = d.Ledger[(len(d.Ledger)+1)/2:]
	}
	if over() {
		d.Headers = nil
	}
	if over() {
		d.Error = d.Error.short()
	}
	return d
}
