// Package load makes the calls of a chaos run: scenarios of mixed commands, from
// a seed, published in order within each call and side by side between calls.
package load

import (
	"fmt"
	"math/rand/v2"
	"time"

	"callbus/internal/commands"
)

// step is one command of a scenario.
type step struct {
	action     commands.Action
	id         string
	parameters string
	more       map[string]any // of the envelope
	after      time.Duration  // pause before it is published
	copies     int            // further copies of the very same command
	conflict   bool           // published once more with another body
	invalid    bool           // must be rejected
	// relative times, filled in when the step is published
	notBefore, expiresIn time.Duration
}

// scenario is one kind of call. Every one ends its call.
type scenario struct {
	name   string
	weight int
	steps  func(r *rand.Rand) []step
}

const prompt = `{"prompts":[{"mediaInfo":{"uri":"https://cdn.contoso.com/hello.wav"}}]}`

// place calls one user, whose id ends in what the user does, or two.
func place(id string, callees ...string) step {
	targets := ""
	for i, suffix := range callees {
		if i > 0 {
			targets += ","
		}
		targets += fmt.Sprintf(`{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b%03d%s"}}}`, i, suffix)
	}
	return step{action: commands.Place, id: id, parameters: `{"targets":[` + targets + `]}`}
}

func do(a commands.Action, id string) step {
	s := step{action: a, id: id}
	if a == commands.PlayPrompt {
		s.parameters = prompt
	}
	return s
}

// transfer names its command in its target, by which the checker knows it again.
func transfer(id string) step {
	return step{action: commands.Transfer, id: "cmd-" + id, parameters: fmt.Sprintf(`{"transferTarget":{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c27001","displayName":"cmd-%s"}}}}`, id)}
}

func (s step) wait(w commands.Wait) step     { return s.with("wait", string(w)) }
func (s step) pause(d time.Duration) step    { s.after = d; return s }
func (s step) copied(n int) step             { s.copies = n; return s }
func (s step) twisted() step                 { s.conflict = true; return s }
func (s step) later(d time.Duration) step    { s.notBefore = d; return s }
func (s step) expiring(d time.Duration) step { s.expiresIn = d; return s }
func (s step) wrong(parameters string) step  { s.invalid, s.parameters = true, parameters; return s }
func (s step) with(name string, v any) step {
	more := map[string]any{name: v}
	for k, v := range s.more {
		more[k] = v
	}
	s.more = more
	return s
}

// upTo is a random pause.
func upTo(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}

func bye() step     { return do(commands.Hangup, "bye") }
func byeTurn() step { return bye().wait(commands.WaitTurn) }

const answers = "001"

var refusals = []string{"486", "603", "480", "500"}

// scenarios are the kinds of calls, by weight.
var scenarios = []scenario{
	{"talk", 6, func(r *rand.Rand) []step {
		return []step{
			place("p", answers, "002"), do(commands.Mute, "m1"), do(commands.Unmute, "u1"), do(commands.PlayPrompt, "pp1"),
			do(commands.KeepAlive, "k1"), do(commands.Mute, "m2"), do(commands.ListParticipants, "l1"), do(commands.GetCall, "g1"),
			do(commands.Unmute, "u2"), byeTurn(),
		}
	}},
	{"prompts", 4, func(r *rand.Rand) []step {
		return []step{
			place("p", answers), do(commands.PlayPrompt, "pp1"), do(commands.PlayPrompt, "pp2").pause(upTo(r, time.Second)),
			do(commands.CancelMediaProcessing, "c1"), do(commands.PlayPrompt, "pp3"), byeTurn(),
		}
	}},
	{"refused", 2, func(r *rand.Rand) []step {
		return []step{place("p", refusals[r.IntN(len(refusals))]), do(commands.PlayPrompt, "pp1"), bye().pause(time.Second + upTo(r, time.Second))}
	}},
	{"second thought", 3, func(r *rand.Rand) []step {
		return []step{place("p", "487"), do(commands.PlayPrompt, "pp1"), do(commands.Mute, "m1"), bye().pause(upTo(r, 1500*time.Millisecond))}
	}},
	{"never mind", 3, func(r *rand.Rand) []step {
		return []step{place("p", answers), do(commands.PlayPrompt, "pp1"), bye()}
	}},
	{"transfer", 3, func(r *rand.Rand) []step {
		return []step{place("p", answers), do(commands.PlayPrompt, "pp1"), transfer("x1"), do(commands.GetCall, "g1"), bye().pause(3*time.Second + upTo(r, 3*time.Second))}
	}},
	{"duplicates", 3, func(r *rand.Rand) []step {
		return []step{
			place("p", answers, "002").copied(1 + r.IntN(2)).twisted(), do(commands.Mute, "m1").copied(1), do(commands.PlayPrompt, "pp1").copied(2),
			do(commands.Unmute, "u1").twisted(), byeTurn().copied(1),
		}
	}},
	{"mistakes", 1, func(r *rand.Rand) []step {
		return []step{
			place("p", answers), do(commands.PlayPrompt, "w1").wrong(`{"prompts":[]}`), do(commands.Mute, "w2").wrong(`{"volume":11}`),
			do(commands.PlayPrompt, "pp1"), bye().pause(2 * time.Second),
		}
	}},
	{"insisting", 1, func(r *rand.Rand) []step {
		return []step{place("p", answers).with("onUnknown", "retry"), do(commands.PlayPrompt, "pp1").with("onUnknown", "retry"), byeTurn()}
	}},
	{"twice under one name", 2, func(r *rand.Rand) []step {
		return []step{
			place("p", answers), do(commands.PlayPrompt, "pp1"), bye().pause(upTo(r, 3*time.Second)),
			place("p2", answers).pause(upTo(r, 6*time.Second)), do(commands.PlayPrompt, "pp2"), do(commands.Hangup, "bye2").pause(2 * time.Second),
		}
	}},
	{"later", 2, func(r *rand.Rand) []step {
		return []step{
			place("p", answers, "002"), do(commands.Mute, "m1").later(2*time.Second + upTo(r, 2*time.Second)), do(commands.Unmute, "u1"), byeTurn().pause(5 * time.Second),
		}
	}},
	{"in a hurry", 2, func(r *rand.Rand) []step {
		return []step{
			place("p", answers).expiring(3 * time.Second), do(commands.PlayPrompt, "pp1").expiring(500*time.Millisecond + upTo(r, time.Second)),
			do(commands.PlayPrompt, "pp2").expiring(20 * time.Second), bye().pause(3 * time.Second),
		}
	}},
	{"they hang up", 2, func(r *rand.Rand) []step {
		return []step{place("p", "333"), do(commands.PlayPrompt, "pp1"), do(commands.PlayPrompt, "pp2").pause(time.Second), bye().pause(time.Second)}
	}},
	{"rings out", 1, func(r *rand.Rand) []step {
		return []step{place("p", "487").with("limits", map[string]any{"ringSeconds": 2}), bye().pause(4 * time.Second)}
	}},
}

// pick chooses a scenario by weight.
func pick(r *rand.Rand) scenario {
	total := 0
	for _, s := range scenarios {
		total += s.weight
	}
	n := r.IntN(total)
	for _, s := range scenarios {
		if n -= s.weight; n < 0 {
			return s
		}
	}
	return scenarios[0]
}
