package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
	"callbus/test/chaos/fleet"
)

// killing is one case.
type killing struct {
	crashCase
	fleet *fleet.Fleet
	js    jetstream.JetStream
	rules string
	call  commands.CallKey
}

// id is the command under test.
const crashID = "cmd-it"

func (k *killing) run(ctx context.Context, o *crashOutcome) error {
	callID, err := k.prepare(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.rules, fmt.Appendf(nil, "kill:%s:%s:1", k.point, k.reaches()), 0o644); err != nil {
		return err
	}
	begun := time.Now()
	if err := k.publish(ctx, k.action, crashID, k.parameters(), callID); err != nil {
		return err
	}
	died := k.until(ctx, 5*time.Second, func() bool {
		return slices.ContainsFunc(k.fleet.Workers(), func(p *fleet.Proc) bool { return !p.Alive() })
	})
	if err := os.WriteFile(k.rules, nil, 0o644); err != nil {
		return err
	}
	if !died {
		return fmt.Errorf("no worker died: the point was not reached")
	}
	r, err := final(ctx, k.js, k.key(crashID), 30*time.Second)
	if err != nil {
		return err
	}
	o.took, o.status, o.reason, o.attempts = time.Since(begun), r.Status, r.Reason, r.Attempts
	if r.Error != nil && o.reason == "" {
		o.reason = r.Error.Reason
	}
	if o.records, err = k.records(ctx); err != nil {
		return err
	}
	o.requests, err = k.requests(callID)
	if err != nil {
		return err
	}
	switch {
	case k.point == crashpoint.Retired:
		r, err := final(ctx, k.js, k.key("later"), 30*time.Second)
		if err == nil && r.Status != commands.Superseded {
			err = fmt.Errorf("the command in the queue ended %s, want superseded", r.Status)
		}
		return err
	case k.action == commands.Hangup, k.point == crashpoint.Buried && k.action == commands.Place:
		return nil
	}
	if err := k.publish(ctx, commands.Hangup, "bye", "", ""); err != nil {
		return err
	}
	_, err = final(ctx, k.js, k.key("bye"), 30*time.Second)
	return err
}

// prepare brings the call to where the action can be done, and returns its
// Graph id where the command has to name it.
func (k *killing) prepare(ctx context.Context) (callID string, err error) {
	switch k.action {
	case commands.Place:
		return "", nil
	case commands.Redirect:
		return k.ringIn()
	}
	targets := `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d777"}}}]}`
	switch k.action {
	case commands.Mute, commands.Unmute, commands.ListContentSharingSessions, commands.GetContentSharingSession:
		targets = `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d777"}}},{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d002"}}}]}`
	}
	if err := k.publish(ctx, commands.Place, "p", targets, ""); err != nil {
		return "", err
	}
	r, err := final(ctx, k.js, k.key("p"), 15*time.Second)
	if err != nil {
		return "", err
	}
	if r.Status != commands.Succeeded {
		return "", fmt.Errorf("the place of the case ended %s", r.Status)
	}
	if k.point == crashpoint.Retired {
		// Something that the hang-up finds in the queue.
		body := fmt.Sprintf(`{"id":"later","notBefore":%q,"parameters":{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/hello.wav"}}]}}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		_, err = k.js.PublishMsg(ctx, &nats.Msg{Subject: commands.DefaultPrefix.Command(k.call, commands.PlayPrompt), Data: []byte(body)})
	}
	return "", err
}

// reaches is what the worker says it has got to the point with: the action, or
// the kind of the event that tells of the command.
func (k *killing) reaches() string {
	switch {
	case k.point != crashpoint.Folded && k.point != crashpoint.Settled:
		return string(k.action)
	case k.action == commands.Place:
		return string(commands.KindState)
	}
	return string(commands.KindOperation)
}

func (k *killing) parameters() string {
	if k.point == crashpoint.Buried {
		return `{"nonsense":true}`
	}
	switch k.action {
	case commands.Place:
		return `{"targets":[{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d001"}}}]}`
	case commands.PlayPrompt:
		return `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/hello.wav"}}]}`
	case commands.Transfer:
		return `{"transferTarget":{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27001"}}}}`
	case commands.Redirect:
		return `{"targets":[{"identity":{"user":{"id":"22bfd41f-550e-477d-8789-f6f7bd2a5006"}}}],"timeout":30}`
	case commands.GetContentSharingSession:
		return `{"contentSharingSessionId":"` + k.session() + `"}`
	}
	return ""
}

// session is the content shared in the call.
func (k *killing) session() (id string) {
	k.until(context.Background(), 5*time.Second, func() bool {
		list, err := simulated[struct{ Calls []graphsim.Call }](k.fleet, "calls")
		if err != nil {
			return false
		}
		for _, c := range list.Calls {
			if c.CallRef == k.call.CallRef && len(c.ContentSharingSessions) > 0 {
				id = c.ContentSharingSessions[0]
			}
		}
		return id != ""
	})
	return id
}

// ringIn makes the simulated Graph call the bot.
func (k *killing) ringIn() (string, error) {
	body := fmt.Sprintf(`{"callbackUri":"http://%s/v1/notifications","source":{"user":"8d1e6ab6-26c5-4e22-a1bc-06ea73439005"}}`, k.fleet.Callbacks().Addr())
	resp, err := http.Post(k.fleet.SimURL()+"/_sim/incoming", "application/json", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		ID, Error string
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.ID == "" {
		return "", fmt.Errorf("incoming call: %s %w", answer.Error, err)
	}
	return answer.ID, nil
}

func (k *killing) key(id string) commands.Key {
	return commands.Key{Producer: k.call.Producer, CallRef: k.call.CallRef, ID: id}
}

func (k *killing) publish(ctx context.Context, a commands.Action, id, parameters, callID string) error {
	body := map[string]any{"id": id}
	if parameters != "" {
		body["parameters"] = json.RawMessage(parameters)
	}
	if callID != "" {
		body["callId"] = callID
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = k.js.PublishMsg(ctx, &nats.Msg{Subject: commands.DefaultPrefix.Command(k.call, a), Data: data})
	return err
}

// records are the statuses of the command under test, in order.
func (k *killing) records(ctx context.Context) (all []string, err error) {
	cons, err := k.js.OrderedConsumer(ctx, commands.DefaultPrefix.Stream(streams.Results), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{commands.DefaultPrefix.Result(commands.Key{Producer: k.call.Producer, CallRef: k.call.CallRef, ID: crashID})},
	})
	if err != nil {
		return nil, err
	}
	batch, err := cons.Fetch(100, jetstream.FetchMaxWait(300*time.Millisecond))
	if err != nil {
		return nil, err
	}
	for msg := range batch.Messages() {
		var r commands.Result
		if err := json.Unmarshal(msg.Data(), &r); err != nil {
			return nil, err
		}
		all = append(all, string(r.Status))
	}
	return all, batch.Error()
}

// operations are Graph's names where they are not the action's.
var operations = map[commands.Action]string{commands.Place: "createCall", commands.Hangup: "deleteCall"}

// requests counts what Graph did for the command under test.
func (k *killing) requests(callID string) (n int, err error) {
	all, err := requests(k.fleet)
	if err != nil {
		return 0, err
	}
	operation := operations[k.action]
	if operation == "" {
		operation = string(k.action)
	}
	for _, r := range all {
		mine := r.CallRef == k.call.CallRef || callID != "" && r.CallID == callID
		if mine && r.Executed && r.Operation == operation {
			n++
		}
	}
	return n, nil
}

// raise starts the worker that died.
func (k *killing) raise(ctx context.Context) error {
	for _, p := range k.fleet.Workers() {
		if !p.Alive() {
			if err := p.Revive(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// until polls.
func (k *killing) until(ctx context.Context, within time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
