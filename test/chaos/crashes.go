package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/crashpoint"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
	"callbus/test/chaos/fleet"
)

// crashesFlags shape the table.
type crashesFlags struct {
	Fleets int    `default:"3" help:"Fleets side by side; the cases of one are done one after the other."`
	Only   string `help:"Only the cases whose name, ACTION/POINT, contains this."`
}

// crashCase is one action and the point at which its worker dies.
type crashCase struct {
	action commands.Action
	point  crashpoint.Point
}

// reached are the points that a command of the action comes to on its own way.
func reached(a commands.Action) []crashpoint.Point {
	points := []crashpoint.Point{crashpoint.Fetched, crashpoint.Recalled, crashpoint.Admitted}
	switch a {
	case commands.PlayPrompt, commands.Transfer, commands.Redirect:
		points = append(points, crashpoint.Opened)
	case commands.Hangup:
		points = append(points, crashpoint.Wanted)
	}
	if !a.Read() {
		points = append(points, crashpoint.Started)
	}
	return append(points, crashpoint.Answered, crashpoint.Recorded, crashpoint.Bound, crashpoint.Acked)
}

// expected is what becomes of a command whose worker died at the point: the
// promise, as a function.
func expected(c crashCase) commands.Status {
	if c.point == crashpoint.Started && !c.action.Idempotent() {
		return commands.Unknown // nobody can tell it from a lost answer
	}
	return commands.Succeeded
}

// crashOutcome is one row of the table.
type crashOutcome struct {
	crashCase
	status   commands.Status
	reason   string
	attempts int
	requests int
	took     time.Duration
	records  []string
	err      error
}

// Run kills a worker at every point of every action and prints what became of
// the command.
func (f *crashesFlags) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callbus-crashes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := fleet.Build(ctx, fleet.BuildOptions{Dir: dir})
	if err != nil {
		return err
	}
	cases := make(chan crashCase)
	outcomes := make(chan crashOutcome)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var broken error
	for n := range f.Fleets {
		wg.Go(func() {
			if err := crashFleet(ctx, bin, filepath.Join(dir, fmt.Sprint(n)), cases, outcomes); err != nil {
				mu.Lock()
				broken = errors.Join(broken, err)
				mu.Unlock()
				for range cases { // nobody is to wait for this fleet
				}
			}
		})
	}
	go func() {
		defer close(cases)
		for _, a := range commands.Actions {
			for _, p := range reached(a) {
				if c := (crashCase{a, p}); strings.Contains(fmt.Sprintf("%s/%s", a, p), f.Only) {
					cases <- c
				}
			}
		}
	}()
	go func() { wg.Wait(); close(outcomes) }()
	var all []crashOutcome
	for o := range outcomes {
		all = append(all, o)
	}
	if broken != nil {
		return broken
	}
	return crashTable(all)
}

func crashTable(all []crashOutcome) error {
	slices.SortStableFunc(all, func(a, b crashOutcome) int {
		if d := slices.Index(commands.Actions, a.action) - slices.Index(commands.Actions, b.action); d != 0 {
			return d
		}
		return slices.Index(crashpoint.Points, a.point) - slices.Index(crashpoint.Points, b.point)
	})
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "action\tkilled after\trequests\trecords\toutcome\tafter\t")
	red := 0
	for _, o := range all {
		note := ""
		switch {
		case o.err != nil:
			note = "WRONG: " + o.err.Error()
		case o.status != expected(o.crashCase):
			note = fmt.Sprintf("WRONG: want %s", expected(o.crashCase))
		case !o.action.Idempotent() && o.requests > 1:
			note = "WRONG: sent twice"
		}
		if note != "" {
			red++
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%.1fs\t%s\n", o.action, o.point, o.requests, strings.Join(o.records, " "), strings.TrimSpace(string(o.status)+" "+o.reason), o.took.Seconds(), note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("%d cases, %d not as they should be\n", len(all), red)
	if red > 0 {
		return errRed
	}
	return nil
}

// crashFleet does cases on one fleet of two workers.
func crashFleet(ctx context.Context, bin fleet.Binaries, dir string, cases <-chan crashCase, outcomes chan<- crashOutcome) error {
	rules := filepath.Join(dir, "rules")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(rules, nil, 0o644); err != nil {
		return err
	}
	f, err := fleet.Start(ctx, fleet.Options{
		Binaries: bin, Dir: dir, Workers: 2, SimArgs: []string{"--answer-after=50ms", "--prompt-duration=100ms", "--ring-timeout=60s", "--log-level=warn"},
		Worker: func(int) fleet.WorkerOptions {
			return fleet.WorkerOptions{
				Args: []string{"--ack-wait=2s", "--graph-timeout=1s", "--reconcile-wait=5s", "--operation-timeout=3s", "--grace-period=2s"},
				Env:  []string{"CALLBUS_CRASHPOINTS=@" + rules},
			}
		},
	})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Ready(ctx); err != nil {
		return err
	}
	js, err := connect(f.NATSURL())
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	for c := range cases {
		k := &killing{fleet: f, js: js, rules: rules, crashCase: c, call: commands.CallKey{Producer: "crash", CallRef: fmt.Sprintf("%s-%s", c.action, c.point)}}
		o := crashOutcome{crashCase: c}
		if err := k.run(ctx, &o); err != nil {
			o.err = err
		}
		outcomes <- o
		if err := k.raise(ctx); err != nil {
			return err
		}
	}
	return nil
}

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
	if err := os.WriteFile(k.rules, fmt.Appendf(nil, "kill:%s:%s:1", k.point, k.action), 0o644); err != nil {
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
	r, err := k.final(ctx, crashID, 30*time.Second)
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
	if k.action == commands.Hangup {
		return nil
	}
	if err := k.publish(ctx, commands.Hangup, "bye", "", ""); err != nil {
		return err
	}
	_, err = k.final(ctx, "bye", 30*time.Second)
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
	r, err := k.final(ctx, "p", 15*time.Second)
	if err != nil {
		return "", err
	}
	if r.Status != commands.Succeeded {
		return "", fmt.Errorf("the place of the case ended %s", r.Status)
	}
	return "", nil
}

func (k *killing) parameters() string {
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
		calls, err := k.calls()
		if err != nil {
			return false
		}
		for _, c := range calls {
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

// final waits for a command's final record.
func (k *killing) final(ctx context.Context, id string, within time.Duration) (r commands.Result, err error) {
	s, err := k.js.Stream(ctx, commands.DefaultPrefix.Stream(streams.Results))
	if err != nil {
		return r, err
	}
	subject := commands.DefaultPrefix.Result(commands.Key{Producer: k.call.Producer, CallRef: k.call.CallRef, ID: id})
	ok := k.until(ctx, within, func() bool {
		msg, err := s.GetLastMsgForSubject(ctx, subject)
		return err == nil && json.Unmarshal(msg.Data, &r) == nil && r.Final
	})
	if !ok {
		return r, fmt.Errorf("%s has no final record within %s, its last is %q", id, within, r.Status)
	}
	return r, nil
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
	resp, err := http.Get(k.fleet.SimURL() + "/_sim/requests")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var log struct{ Requests []graphsim.Request }
	if err := json.NewDecoder(resp.Body).Decode(&log); err != nil {
		return 0, err
	}
	operation := operations[k.action]
	if operation == "" {
		operation = string(k.action)
	}
	for _, r := range log.Requests {
		mine := r.CallRef == k.call.CallRef || callID != "" && r.CallID == callID
		if mine && r.Executed && r.Operation == operation {
			n++
		}
	}
	return n, nil
}

func (k *killing) calls() ([]graphsim.Call, error) {
	resp, err := http.Get(k.fleet.SimURL() + "/_sim/calls")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var list struct{ Calls []graphsim.Call }
	return list.Calls, json.Unmarshal(body, &list)
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
