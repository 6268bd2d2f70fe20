package commands

import (
	"strings"
	"time"
)

// DecodeOptions is what the reader of a command knows besides its bytes.
type DecodeOptions struct {
	// Prefix is the installation's; empty means [DefaultPrefix].
	Prefix Prefix
	// Published is the server's timestamp of the message; zero leaves the
	// bounds that count from it unchecked.
	Published time.Time
	// DefaultTenant is filled in where Graph needs a tenant (phone numbers,
	// meetings) and the command names none; empty makes that an error.
	DefaultTenant string
}

// Decode reads a command strictly: against the contract, and its parameters
// against what Microsoft Graph documents for the action. What Graph can be
// spared is filled in: every "@odata.type", requestedModalities, mediaConfig,
// and tenantId where the call needs one.
//
// An error is always a non-empty [DecodeErrors], which lists everything wrong
// at once. The command returned beside it holds what could be read all the
// same (ID, ReplyTo, Metadata, TenantID, CallID, each only if it is valid), so
// that a rejection can be published; an empty ID means that none was usable.
//
// The command keeps body without copying it. Decode does not block.
func Decode(call CallKey, action Action, body []byte, opts DecodeOptions) (Command, error) {
	if opts.Prefix == "" {
		opts.Prefix = DefaultPrefix
	}
	d := &decoder{opts: opts, cmd: Command{
		Key: Key{Producer: call.Producer, CallRef: call.CallRef}, Action: action, Body: body,
		Wait: WaitReady, OnUnknown: OnUnknownFail,
	}}
	d.address()
	if envelope, ok := d.parse(body); ok {
		d.envelope(envelope)
		if parameterShapes[action] != nil {
			d.parameters(envelope["parameters"])
		}
	}
	if len(d.list) > 0 {
		d.cmd.Parameters = nil
		return d.cmd, d.list
	}
	return d.cmd, nil
}

// decoder is one reading of one command.
type decoder struct {
	problems
	opts DecodeOptions
	cmd  Command
	raw  map[string]any // the envelope

	// needTenant says what Graph needs a tenant for; empty: it does not.
	needTenant string
}

// address checks what the subject says.
func (d *decoder) address() {
	if problem := tokenProblem(d.cmd.Producer, MaxProducer); problem != "" {
		d.add("producer", problem, tokenWant(MaxProducer))
	}
	if problem := tokenProblem(d.cmd.CallRef, MaxCallRef); problem != "" {
		d.add("callRef", problem, tokenWant(MaxCallRef))
	}
	if !d.cmd.Action.Known() {
		d.add("action", "is "+show(string(d.cmd.Action)), "one of "+actionList())
	}
}

// parameters checks Graph's own body, and leaves it in the command as it is to
// be sent.
func (d *decoder) parameters(value any) {
	const at = "parameters"
	of := parameterShapes[d.cmd.Action]
	if value == (any)(nil) {
		value = map[string]any{}
	}
	tree, ok := value.(map[string]any)
	if !ok {
		if _, reported := value.(twice); !reported {
			d.add(at, "is "+article(value), field{kind: object, shapes: []*shape{of}}.allowed())
		}
		return
	}
	if d.shaped(at, []*shape{of}, tree) == nil {
		return
	}
	switch d.cmd.Action {
	case Place:
		d.place(tree)
	case Redirect:
		d.redirect(tree)
	case Transfer:
		d.transfer(tree)
	}
	if len(tree) == 0 || len(d.list) > 0 {
		return
	}
	sent, err := marshal(tree)
	if err != nil { // no tree of parsed JSON fails to marshal
		d.add(at, "cannot be written", "JSON")
		return
	}
	d.cmd.Parameters = sent
}

// envelopeHas tells whether the envelope gives a member, right or wrong.
func (d *decoder) envelopeHas(name string) bool {
	_, ok := d.raw[name]
	return ok
}

// replyProblem: the worker publishes copies with its own rights, so they may
// only go to where the producer could publish itself.
func (d *decoder) replyProblem(subject string) string {
	begins := false
	for _, prefix := range d.replyPrefixes() {
		if rest, ok := strings.CutPrefix(subject, prefix); ok && rest != "" {
			begins = true
		}
	}
	switch {
	case strings.ContainsAny(subject, "*>") || strings.ContainsFunc(subject, notGraphic):
		return "has wildcards, spaces or other characters"
	case strings.Contains(subject, "..") || strings.HasSuffix(subject, "."):
		return "has an empty token"
	case !begins:
		return "is elsewhere"
	}
	return ""
}

func (d *decoder) replyPrefixes() []string {
	p := d.cmd.Producer
	return []string{"_INBOX.", "_INBOX_" + p + ".", d.opts.Prefix.Replies(p)}
}
