package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"callbus/internal/commands"
	"callbus/test/chaos/check"
)

// Options shape a load.
type Options struct {
	Prefix   commands.Prefix
	Seed     uint64
	Rate     float64 // commands a second; 0: as fast as they are taken
	Calls    int     // stop after so many calls, or when ctx ends; 0: no bound
	Parallel int     // calls that are being published at once
	Only     []string
}

// Producer is the name all commands are published under.
const Producer = "chaos"

// Load publishes calls. Make it with New.
type Load struct {
	js      jetstream.JetStream
	opts    Options
	limiter *rate.Limiter

	mu        sync.Mutex
	published []check.Command
	calls     int
}

// New makes a load that publishes with js.
func New(js jetstream.JetStream, o Options) *Load {
	limit := rate.Inf
	if o.Rate > 0 {
		limit = rate.Limit(o.Rate)
	}
	if o.Parallel <= 0 {
		o.Parallel = 64
	}
	return &Load{js: js, opts: o, limiter: rate.NewLimiter(limit, 1)}
}

// Run publishes calls until ctx ends or Calls are made, and returns when the
// calls that were begun are published to their end.
func (l *Load) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	var failed error
	var once sync.Once
	seeds := rand.New(rand.NewPCG(l.opts.Seed, 1))
	slots := make(chan struct{}, l.opts.Parallel)
	for n := 0; l.opts.Calls == 0 || n < l.opts.Calls; n++ {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		r := rand.New(rand.NewPCG(l.opts.Seed, seeds.Uint64()))
		s := l.pick(r)
		call := commands.CallKey{Producer: Producer, CallRef: fmt.Sprintf("c%06d", n)}
		wg.Go(func() {
			defer func() { <-slots }()
			// A call that was begun is published to its end, whatever ctx says:
			// one without its hang-up would live on.
			if err := l.publishCall(context.WithoutCancel(ctx), call, s.steps(r)); err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	wg.Wait()
	return failed
}

func (l *Load) pick(r *rand.Rand) scenario {
	for {
		s := pick(r)
		if len(l.opts.Only) == 0 {
			return s
		}
		for _, name := range l.opts.Only {
			if s.name == name {
				return s
			}
		}
	}
}

// Published is what was published so far, in order within each call.
func (l *Load) Published() []check.Command {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]check.Command{}, l.published...)
}

// Counts tells how many calls and commands were published.
func (l *Load) Counts() (calls, commands int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls, len(l.published)
}

func (l *Load) publishCall(ctx context.Context, call commands.CallKey, steps []step) error {
	l.mu.Lock()
	l.calls++
	l.mu.Unlock()
	var copies []func() error
	for _, s := range steps {
		if s.after > 0 {
			select {
			case <-time.After(s.after):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := l.limiter.Wait(ctx); err != nil {
			return err
		}
		cmd, err := l.publish(ctx, call, s)
		if err != nil {
			return err
		}
		// Copies come after what follows, as those of a producer that was
		// restarted would.
		for _, again := range copies {
			if err := again(); err != nil {
				return err
			}
		}
		copies = nil
		for n := range s.copies {
			copies = append(copies, func() error { return l.again(ctx, call, s, cmd.Body, fmt.Sprintf("copy-%d", n)) })
		}
		if s.conflict {
			var other map[string]any
			if err := json.Unmarshal(cmd.Body, &other); err != nil {
				return err
			}
			other["metadata"] = map[string]string{"another": "body"}
			body, err := json.Marshal(other)
			if err != nil {
				return err
			}
			copies = append(copies, func() error { return l.again(ctx, call, s, body, "conflict") })
		}
	}
	for _, again := range copies {
		if err := again(); err != nil {
			return err
		}
	}
	return nil
}

// publish publishes a command until its acknowledgement is there, and notes it.
func (l *Load) publish(ctx context.Context, call commands.CallKey, s step) (check.Command, error) {
	body := map[string]any{"id": s.id, "metadata": map[string]string{"n": s.id}}
	maps.Copy(body, s.more)
	if s.parameters != "" {
		body["parameters"] = json.RawMessage(s.parameters)
	}
	now := time.Now()
	if s.notBefore > 0 {
		body["notBefore"] = now.Add(s.notBefore).UTC()
	}
	if s.expiresIn > 0 {
		body["expiresAt"] = now.Add(s.expiresIn).UTC()
	}
	data, err := json.Marshal(body)
	if err != nil {
		return check.Command{}, err
	}
	cmd := check.Command{
		Key: commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: s.id}, Action: s.action, Body: data, Published: now,
		Copies: 1 + s.copies, Invalid: s.invalid, OnUnknownRetry: s.more["onUnknown"] == "retry", Turn: s.more["wait"] == string(commands.WaitTurn),
	}
	if s.conflict {
		cmd.Conflicts = 1
	}
	if cmd.Seq, err = l.store(ctx, call, s.action, data, s.id); err != nil {
		return cmd, err
	}
	l.mu.Lock()
	l.published = append(l.published, cmd)
	l.mu.Unlock()
	return cmd, nil
}

// again publishes a body under the same id and another message id, so that the
// queue does not swallow it.
func (l *Load) again(ctx context.Context, call commands.CallKey, s step, body []byte, nonce string) error {
	_, err := l.store(ctx, call, s.action, body, s.id+"-"+nonce)
	return err
}

// duplicateInProcess is the server's code for a message whose id belongs to one
// that is being stored just now.
const duplicateInProcess = 10158

func (l *Load) store(ctx context.Context, call commands.CallKey, a commands.Action, body []byte, messageID string) (uint64, error) {
	msg := &nats.Msg{Subject: l.opts.Prefix.Command(call, a), Data: body, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%s.%s", call, messageID))
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		ack, err := l.js.PublishMsg(try, msg)
		cancel()
		if err == nil {
			return ack.Sequence, nil
		}
		var api *jetstream.APIError
		// A first try may still be on its way to the other servers.
		if errors.As(err, &api) && api.Code != 503 && api.ErrorCode != duplicateInProcess {
			return 0, fmt.Errorf("publish %s %s: %w", call, a, err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
