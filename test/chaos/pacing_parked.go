package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
)

// otherTenant is served beside the simulator's own.
const otherTenant = "bbbbcccc-1111-dddd-2222-eeee3333ffff"

const (
	parkedMemory = 100_000_000 // bytes, of each worker
	parkedFresh  = 50 * time.Millisecond
)

// parkedFor is how long the gate stays shut: time to park everything, on a machine
// that has all processes on it, and to measure.
func parkedFor(n int) time.Duration {
	return 2*time.Minute + time.Duration(n)*2*time.Millisecond
}

// parked is what a backlog costs that cannot go on: half of it places behind the
// gate of a tenant, half prompts of those calls, which wait in the same lane as
// the fresh commands of another tenant. Two workers, so that each remembers as
// many as it ever does.
func (b *pacingBench) parked(ctx context.Context) (bool, error) {
	const name = "parked"
	s, err := b.open(ctx, 2, "", "--tenant="+otherTenant)
	if err != nil {
		return false, err
	}
	defer s.close()
	calls, err := s.live(ctx, otherTenant, 10)
	if err != nil {
		return false, err
	}
	before, err := s.fresh(ctx, calls, 200)
	if err != nil {
		return false, err
	}
	opens, err := s.park(ctx, b.Parked)
	if err != nil {
		return false, err
	}
	begun := time.Now()
	pending, err := s.allParked(ctx, b.Parked, opens)
	if err != nil {
		return false, err
	}
	ok := row(name, fmt.Sprintf("parked of %d, %.0f s after they were published", b.Parked, time.Since(begun).Seconds()), fmt.Sprint(pending), fmt.Sprint(b.Parked), pending == b.Parked)
	told, err := s.told(ctx, b.Parked)
	if err != nil {
		return false, err
	}
	ok = row(name, "of 500, those whose record says why and until when", fmt.Sprint(told), "500", told == 500) && ok
	// As long as the longest delay of what waits for its call, so that all of it
	// has come back meanwhile.
	took, err := s.fresh(ctx, calls, 600)
	if err != nil {
		return false, err
	}
	p99 := quantile(took, 99)
	ok = row(name, fmt.Sprintf("fresh control command, p50 %s, p99", ms(quantile(took, 50))), ms(p99), "< "+ms(parkedFresh), p99 < parkedFresh) && ok
	row(name, fmt.Sprintf("the same before anything was parked, p50 %s, p99", ms(quantile(before, 50))), ms(quantile(before, 99)), "-", true)
	for _, w := range s.Workers() {
		m, err := w.Memory()
		if err != nil {
			return false, err
		}
		ok = row(name, fmt.Sprintf("RSS of %s, now %.0f MB, most so far", w.Name(), float64(m.Now)/1e6), fmt.Sprintf("%.0f MB", float64(m.Peak)/1e6), "< 100 MB", m.Peak < parkedMemory) && ok
	}
	opened, err := b.opens(ctx, s, calls, opens)
	return ok && opened, err
}

// opens looks at what happens when the gate opens: what waited goes out slowly,
// none of it early.
func (b *pacingBench) opens(ctx context.Context, s *pacingSite, calls []commands.CallKey, at time.Time) (bool, error) {
	const name = "parked"
	if left := time.Until(at); left < 0 {
		return false, fmt.Errorf("%s: the gate opened %s before all was measured", name, -left)
	} else if err := sleep(ctx, left); err != nil {
		return false, err
	}
	took, err := s.fresh(ctx, calls, 300)
	if err != nil {
		return false, err
	}
	all, err := s.requests()
	if err != nil {
		return false, err
	}
	var sent []time.Duration
	for _, r := range all {
		if r.Operation == "createCall" && r.Status == http.StatusCreated && r.TenantID == graphsim.DefaultTenantID {
			sent = append(sent, r.Start.Sub(at))
		}
	}
	if len(sent) == 0 {
		return row(name, "the gate opened: first place after", "never", "<= 11s", false), nil
	}
	first := slices.Min(sent)
	ok := row(name, "the gate opened: first place after", first.Round(10*time.Millisecond).String(), "0 to 11s", first >= 0 && first <= 11*time.Second)
	row(name, fmt.Sprintf("places sent in the first 30 s; fresh p50 %s, p99 %s", ms(quantile(took, 50)), ms(quantile(took, 99))), fmt.Sprint(len(sent)), "-", true)
	return ok, nil
}

// park shuts the gate of places of the simulator's tenant, publishes n commands
// behind it, and returns when the gate opens.
func (s *pacingSite) park(ctx context.Context, n int) (opens time.Time, err error) {
	if err := setFaults(s.Fleet, graphsim.Fault{
		Operation: "createCall", TenantID: graphsim.DefaultTenantID, Count: 1, Status: http.StatusTooManyRequests,
		RetryAfter: fmt.Sprint(parkedFor(n).Seconds()),
	}); err != nil {
		return opens, err
	}
	expires := time.Now().Add(parkedFor(n) + time.Hour)
	if _, err := s.js.PublishMsg(ctx, s.expiring(parkedCall(0), commands.Place, "p", ofTenant(graphsim.DefaultTenantID), expires)); err != nil {
		return opens, err
	}
	for deadline := time.Now().Add(10 * time.Second); opens.IsZero(); time.Sleep(20 * time.Millisecond) {
		all, err := s.requests()
		if err != nil {
			return opens, err
		}
		if i := slices.IndexFunc(all, func(r simRequest) bool { return r.Status == http.StatusTooManyRequests }); i >= 0 {
			opens = all[i].End.Add(parkedFor(n))
		} else if time.Now().After(deadline) {
			return opens, errors.New("the gate does not shut")
		}
	}
	return opens, s.publishAll(ctx, n-1, func(i int) *nats.Msg {
		if i++; i%2 == 1 {
			return s.expiring(parkedCall(i/2), commands.PlayPrompt, "pp", promptOne, expires)
		}
		return s.expiring(parkedCall(i/2), commands.Place, "p", ofTenant(graphsim.DefaultTenantID), expires)
	})
}

const promptOne = `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/hello.wav"}}]}`

func parkedCall(n int) commands.CallKey {
	return commands.CallKey{Producer: "bench", CallRef: fmt.Sprintf("parked-%06d", n)}
}

// expiring is a command with its own end.
func (s *pacingSite) expiring(call commands.CallKey, a commands.Action, id, parameters string, at time.Time) *nats.Msg {
	msg := s.message(call, a, id, parameters)
	var body map[string]any
	if err := json.Unmarshal(msg.Data, &body); err != nil {
		panic(err) // it was just made
	}
	body["expiresAt"] = at.UTC().Format(time.RFC3339Nano)
	msg.Data, _ = json.Marshal(body)
	return msg
}

// allParked waits until the workers have looked at everything that is queued,
// and returns how much of it is with them or parked.
func (s *pacingSite) allParked(ctx context.Context, n int, most time.Time) (int, error) {
	for {
		parked, unseen := 0, 0
		for _, lane := range []commands.Lane{commands.LanePlace, commands.LaneControl} {
			c, err := s.js.Consumer(ctx, commands.DefaultPrefix.Stream(streams.Commands), string(lane))
			if err != nil {
				return 0, err
			}
			parked, unseen = parked+c.CachedInfo().NumAckPending, unseen+int(c.CachedInfo().NumPending)
		}
		if unseen == 0 && parked >= n || time.Now().After(most) {
			return parked, nil
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// told counts, of 500 parked commands, those of which a record says why they
// wait and, behind the gate, until when.
func (s *pacingSite) told(ctx context.Context, n int) (told int, err error) {
	r, err := s.js.Stream(ctx, commands.DefaultPrefix.Stream(streams.Results))
	if err != nil {
		return 0, err
	}
	for i := range 500 {
		id, reason := "p", "throttled"
		if i%2 == 1 {
			id, reason = "pp", "callNotReady"
		}
		call := parkedCall(i * (n / 2) / 500)
		deadline := time.Now().Add(10 * time.Second)
		for {
			var res commands.Result
			msg, err := r.GetLastMsgForSubject(ctx, commands.DefaultPrefix.Result(commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: id}))
			if err == nil && json.Unmarshal(msg.Data, &res) == nil && res.Status == commands.Waiting && res.Reason == reason && (res.Until != nil) == (id == "p") {
				told++
				break
			}
			if time.Now().After(deadline) || err != nil && err != jetstream.ErrMsgNotFound {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return told, nil
}
