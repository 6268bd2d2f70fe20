package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/oklog/ulid/v2"
)

// publish is every action: make the body, look whether it is right, print the
// names, store it and, if asked to, wait for the outcome.
func (s *session) publish(action commands.Action, c *commandFlags, p *parameters, limits *commands.CallLimits) error {
	if c.CallRef == "" {
		return usagef("%s: CALLREF is missing: want the name of the call, as place printed it", action)
	}
	if c.Wait != "" && (c.CallRef == string(producer.UntilAccepted) || c.CallRef == string(producer.UntilFinal)) {
		return usagef("%s: CALLREF is %s: the value of --wait is written --wait=%s", action, c.CallRef, c.CallRef)
	}
	if c.Wait != "" && c.Timeout <= 0 {
		return usagef("--timeout is %s: want more than nothing", c.Timeout)
	}
	body, err := c.body(p, limits, s)
	if err != nil {
		return usage(fmt.Errorf("%s: %w", action, err))
	}
	call := commands.CallKey{Producer: s.flags.Producer, CallRef: c.CallRef}
	if !c.NoCheck {
		if _, err := commands.Decode(call, action, body, s.checkOptions()); err != nil {
			return usage(fmt.Errorf("%s: %w", action, err))
		}
	}
	client, end, err := s.connect()
	if err != nil {
		return err
	}
	defer end()
	s.printNames(call, action, producer.BodyID(body))
	m := producer.Message{Call: call, Action: action, Body: body}
	if c.Wait == "" {
		ack, err := client.Send(s.ctx, call, action, body)
		if err != nil {
			return err
		}
		s.noteStored(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: producer.BodyID(body)}, ack)
		return nil
	}
	return s.publishAndWait(client, m, c)
}

// checkOptions are the worker's, as far as they can be known here: it may have
// a default tenant, so that no command is refused here for want of one.
func (s *session) checkOptions() commands.DecodeOptions {
	return commands.DecodeOptions{
		Prefix: commands.Prefix(s.flags.Prefix), Published: time.Now(),
		DefaultTenant: "00000000-0000-0000-0000-000000000000",
	}
}

func (s *session) publishAndWait(client *producer.Client, m producer.Message, c *commandFlags) error {
	ctx, cancel := context.WithTimeout(s.ctx, c.Timeout)
	defer cancel()
	last, err := client.SendAndWait(ctx, m, producer.Until(c.Wait), s.noteStored, s.printResult)
	if err != nil {
		return err
	}
	if last.Final && last.Status != commands.Succeeded {
		return &exitError{code: exitNotDone} // the record has said it all
	}
	return nil
}

// body is the command body that the flags describe.
func (c *commandFlags) body(p *parameters, limits *commands.CallLimits, s *session) ([]byte, error) {
	given, err := p.finish(c.Parameters, s.std.in)
	if err != nil {
		return nil, err
	}
	if c.TTL < 0 {
		return nil, fmt.Errorf("--ttl is %s: want more than nothing", c.TTL)
	}
	id := c.ID
	if id == "" {
		id = ulid.Make().String()
	}
	return json.Marshal(commands.Body{
		ID:         id,
		NotBefore:  c.NotBefore.or(0),
		ExpiresAt:  c.ExpiresAt.or(c.TTL),
		Wait:       commands.Wait(c.WaitMode),
		OnUnknown:  commands.OnUnknown(c.OnUnknown),
		TenantID:   c.Tenant,
		CallID:     c.CallID,
		ReplyTo:    c.ReplyTo,
		KeepAlive:  c.KeepAlive,
		Limits:     limits,
		Metadata:   c.Metadata,
		Parameters: given,
	})
}

// names is what is printed before anything is sent, so that the command can be
// followed whatever happens next.
type names struct {
	Producer string          `json:"producer"`
	CallRef  string          `json:"callRef"`
	ID       string          `json:"id"`
	Action   commands.Action `json:"action"`
}

func (s *session) printNames(call commands.CallKey, action commands.Action, id string) {
	if s.json() {
		s.printJSON(names{call.Producer, call.CallRef, id, action})
		return
	}
	if id == "" {
		id = "(not usable)"
	}
	fmt.Fprintf(s.std.out, "callRef %s  id %s\n", call.CallRef, id)
}

// noteStored says what is out of the ordinary about a stored command.
func (s *session) noteStored(key commands.Key, ack producer.Ack) {
	if ack.Duplicate {
		fmt.Fprintln(s.std.err, "publisher: this id was published a moment ago: that command is kept, this one is not stored again")
	}
	if key.ID == "" || key.ID == producer.SequenceID(ack) {
		fmt.Fprintf(s.std.err, "publisher: the command has no usable id; its results come under %s\n", producer.SequenceID(ack))
	}
}
