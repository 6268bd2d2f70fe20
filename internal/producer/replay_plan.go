package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"callbus/internal/commands"
)

// mostReplays bounds the search for a free id.
const mostReplays = 1000

// replayPlan is what a replay would publish.
type replayPlan struct {
	id     string
	of     string // what its results say replayOf
	body   []byte
	before bool // it is published already
}

// planReplay decides what to do with a letter. The queue is read before the
// records: a command leaves it only after its record is stored, so none can slip
// through between the two.
func (c *Client) planReplay(ctx context.Context, l Letter, o ReplayOptions) (replayPlan, error) {
	again, err := l.repeatable(c.prefix, time.Now())
	if again.members == nil {
		return replayPlan{}, err
	}
	wrong := err // which does not matter if it has been published already
	queued, err := c.queuedOf(ctx, again.call)
	if err != nil {
		return replayPlan{}, err
	}
	plan, err := c.freeReplay(ctx, again, queued)
	switch {
	case err != nil, plan.before:
		return plan, err
	case wrong != nil:
		return replayPlan{}, wrong
	case queued[l.Dead.CommandID].sequence == l.Dead.Sequence && l.Dead.Sequence > 0:
		return replayPlan{}, notRepeatable("the command is still in the queue: a worker is about to look at it again")
	}
	own, err := c.lastResult(ctx, commands.Key{Producer: again.call.Producer, CallRef: again.call.CallRef, ID: l.Dead.CommandID})
	if err != nil {
		return replayPlan{}, err
	}
	doubt, err := l.mayHaveBeenDone(own.result)
	if err != nil {
		return replayPlan{}, err
	}
	if doubt != "" && rings(again.action) && !o.MayDialTwice {
		return replayPlan{}, notRepeatable("%s: somebody may be rung up a second time; ask the people concerned, then --may-dial-twice", doubt)
	}
	return plan, nil
}

// freeReplay looks for the first id that no other command has.
func (c *Client) freeReplay(ctx context.Context, r repeat, queued map[string]queuedCommand) (replayPlan, error) {
	for n := r.first; n <= mostReplays; n++ {
		plan := replayPlan{id: r.id(n), of: r.of, body: r.body(n)}
		if !commands.ValidID(plan.id) {
			return plan, notRepeatable("its replay would have the id %s, which is too long: %d characters are allowed", show(plan.id), commands.MaxID)
		}
		hash := commands.BodyHash(r.action, plan.body)
		holder, taken := queued[plan.id]
		body := holder.hash
		if !taken {
			last, err := c.lastResult(ctx, commands.Key{Producer: r.call.Producer, CallRef: r.call.CallRef, ID: plan.id})
			if err != nil {
				return plan, err
			}
			taken, body = last.result != nil, last.hash
		}
		if !taken {
			return plan, nil
		}
		if body == hash {
			plan.before = true
			return plan, nil
		}
	}
	return replayPlan{}, notRepeatable("%d commands have the ids %s to %s already", mostReplays-r.first+1, r.id(r.first), r.id(mostReplays))
}

// queuedCommand is one command of a call that is in the queue.
type queuedCommand struct {
	sequence uint64
	hash     string // its identity, commands.BodyHash
}

// queuedOf reads the commands of a call that are in the queue, by id. Of two with
// the same id the older one counts.
func (c *Client) queuedOf(ctx context.Context, call commands.CallKey) (map[string]queuedCommand, error) {
	all := map[string]queuedCommand{}
	err := c.eachOf(ctx, c.prefix.Stream("COMMANDS"), c.prefix.Commands(call), func(msg *stored) {
		id := BodyID(msg.data)
		if id == "" {
			id = SequenceID(Ack{Sequence: msg.sequence})
		}
		_, action, err := c.prefix.CommandSubject(msg.subject)
		if _, twice := all[id]; twice || err != nil {
			return
		}
		all[id] = queuedCommand{msg.sequence, commands.BodyHash(action, msg.data)}
	})
	return all, err
}

// lastResult reads a command's last record from the leader; its result is nil
// when there is none.
func (c *Client) lastResult(ctx context.Context, key commands.Key) (last struct {
	result *commands.Result
	hash   string
}, err error) {
	msg, err := c.leaderGet(ctx, c.prefix.Stream("RESULTS"), lastBy(c.prefix.Result(key)))
	if err != nil || msg == nil {
		return last, err
	}
	last.hash, last.result = msg.header.Get(commands.HeaderBody), &commands.Result{}
	if err := json.Unmarshal(msg.data, last.result); err != nil {
		return last, fmt.Errorf("the last record of %s %s cannot be read: %w", key.Call(), key.ID, err)
	}
	return last, nil
}
