package commands

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of the envelope beside [MaxBody] and its neighbours: replyTo in
// characters, the limits in whole seconds. An operator's --max-call-duration is
// another, lower cap.
const (
	MaxReplyTo     = 256
	MaxRingSeconds = 600
	MaxCallSeconds = 86400

	maxTenant  = 253
	tenantWant = "a tenant's GUID or domain name"
	timeWant   = `a time like "2026-11-23T10:00:00Z" (RFC 3339)`
)

var waits = []string{string(WaitReady), string(WaitNone), string(WaitTurn)}

var timeField = field{kind: text, check: timeProblem, want: timeWant}

var limitsShape = &shape{
	noNull: true,
	fields: map[string]field{
		"ringSeconds": {kind: whole, min: 1, max: MaxRingSeconds},
		"callSeconds": {kind: whole, min: 1, max: MaxCallSeconds},
	},
}

// envelopeShape is the body of a command. Nothing in it may be null but
// parameters: a null is a variable that got lost.
var envelopeShape = &shape{
	noNull: true,
	fields: map[string]field{
		"id": {kind: text, needed: true, min: 1, want: tokenWant(MaxID),
			check: func(s string) string { return tokenProblem(s, MaxID) }},
		"notBefore":  timeField,
		"expiresAt":  timeField,
		"wait":       {kind: text, enum: waits},
		"onUnknown":  {kind: text, enum: []string{string(OnUnknownFail), string(OnUnknownRetry)}},
		"tenantId":   {kind: text, min: 1, max: maxTenant, check: tenantProblem, want: tenantWant},
		"callId":     {kind: text, min: 1, max: MaxID, check: callIDProblem, want: fmt.Sprintf("a Graph call id: 1 to %d of A-Z a-z 0-9 _ -", MaxID)},
		"replyTo":    {kind: text, min: 1, max: MaxReplyTo},
		"keepAlive":  {kind: flag},
		"limits":     {kind: object, shapes: []*shape{limitsShape}},
		"metadata":   {kind: object, shapes: []*shape{{open: true, noNull: true}}, want: "an object of texts"},
		"parameters": {kind: anything},
	},
}

// envelope checks and takes over everything but the parameters. What is valid
// is taken even when something else is not.
func (d *decoder) envelope(raw map[string]any) {
	d.raw = raw
	d.shaped("", []*shape{envelopeShape}, raw)
	c := &d.cmd
	if id, ok := raw["id"].(string); ok && tokenProblem(id, MaxID) == "" {
		c.ID = id
	}
	if tenant, ok := raw["tenantId"].(string); ok && tenant != "" && len(tenant) <= maxTenant && tenantProblem(tenant) == "" {
		c.TenantID = tenant
	}
	d.takeCall(raw)
	d.takeReplyTo(raw)
	d.takeTimes(raw)
	d.takeMetadata(raw)
	if wait, ok := raw["wait"].(string); ok && slices.Contains(waits, wait) {
		c.Wait = Wait(wait)
	}
	if raw["onUnknown"] == string(OnUnknownRetry) {
		c.OnUnknown = OnUnknownRetry
		if c.Action.Idempotent() {
			d.add("onUnknown", `is "retry"`, fmt.Sprintf(`"fail": only %s can be unknown`, nonIdempotent()))
		}
	}
	if limits, ok := raw["limits"].(map[string]any); ok {
		if c.Action != Place {
			d.add("limits", "is given with "+show(string(c.Action)), "it only with place")
		}
		c.Limits = CallLimits{RingSeconds: wholeOf(limits["ringSeconds"]), CallSeconds: wholeOf(limits["callSeconds"])}
	}
}

func (d *decoder) takeCall(raw map[string]any) {
	id, ok := raw["callId"].(string)
	if ok && len(id) <= MaxID && isToken(id) {
		d.cmd.CallID = id
	}
	_, given := raw["callId"]
	if given && d.cmd.Action == Place {
		d.add("callId", "is given with place", "it left out: place makes a call of its own")
	}
	if keep, ok := raw["keepAlive"].(bool); ok {
		d.cmd.KeepAlive = keep
		if !given {
			d.add("keepAlive", "is given without callId", "callId beside it: calls placed here are kept alive anyway")
		}
	}
}

func (d *decoder) takeReplyTo(raw map[string]any) {
	reply, ok := raw["replyTo"].(string)
	if !ok || reply == "" || utf8.RuneCountInString(reply) > MaxReplyTo {
		return
	}
	if problem := d.replyProblem(reply); problem != "" {
		d.add("replyTo", problem, "a subject that begins with one of "+strings.Join(d.replyPrefixes(), ", "))
		return
	}
	d.cmd.ReplyTo = reply
}

func (d *decoder) takeTimes(raw map[string]any) {
	c := &d.cmd
	if s, ok := raw["notBefore"].(string); ok {
		c.NotBefore, _ = parseTime(s)
	}
	if s, ok := raw["expiresAt"].(string); ok {
		c.ExpiresAt, _ = parseTime(s)
	}
	latest := d.opts.Published.Add(MaxTTL)
	known := !d.opts.Published.IsZero()
	switch {
	case known && c.ExpiresAt.After(latest):
		d.add("expiresAt", "is "+c.ExpiresAt.Format(time.RFC3339), "at most "+afterPublishing(latest))
	case known && c.ExpiresAt.IsZero() && !c.NotBefore.Before(latest):
		d.add("notBefore", "is "+c.NotBefore.Format(time.RFC3339), "less than "+afterPublishing(latest))
	case !c.NotBefore.IsZero() && !c.ExpiresAt.IsZero() && !c.NotBefore.Before(c.ExpiresAt):
		d.add("notBefore", "is not before expiresAt", "notBefore earlier than expiresAt")
	}
}

func afterPublishing(latest time.Time) string {
	return fmt.Sprintf("%d hours after publishing, which is %s", MaxTTL/time.Hour, latest.UTC().Format(time.RFC3339))
}

func (d *decoder) takeMetadata(raw map[string]any) {
	given, ok := raw["metadata"].(map[string]any)
	if !ok {
		return
	}
	const at = "metadata"
	had := len(d.list)
	if len(given) > MaxMetadata {
		d.add(at, fmt.Sprintf("has %d entries", len(given)), fmt.Sprintf("at most %d", MaxMetadata))
	}
	metadata := make(map[string]string, len(given))
	for _, name := range sorted(given) {
		value, isText := given[name].(string)
		metadata[name] = value
		if n := utf8.RuneCountInString(name); n == 0 || n > MaxMetaText {
			d.add(at, fmt.Sprintf("has a name of %d characters", n), fmt.Sprintf("names of 1 to %d", MaxMetaText))
		}
		switch n := utf8.RuneCountInString(value); {
		case !isText && given[name] != (any)(twice{}):
			d.add(join(at, name), "is "+article(given[name]), fmt.Sprintf("a text of at most %d characters", MaxMetaText))
		case n > MaxMetaText:
			d.add(join(at, name), fmt.Sprintf("has %d characters", n), fmt.Sprintf("at most %d", MaxMetaText))
		}
	}
	if len(d.list) == had && len(metadata) > 0 {
		d.cmd.Metadata = metadata
	}
}

func wholeOf(value any) int {
	number, _ := value.(json.Number)
	n, _ := number.Int64()
	return int(n)
}

func nonIdempotent() string {
	var names []string
	for _, a := range Actions {
		if !a.Idempotent() {
			names = append(names, string(a))
		}
	}
	return strings.Join(names, ", ")
}

func sorted(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
