package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/producer"
)

// client is the publisher's side, with an operator's rights.
func (c *counter) client() *producer.Client {
	c.t.Helper()
	client, err := producer.New(c.js.Conn(), commands.DefaultPrefix)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// number is the one letter of a command.
func (c *counter) number(k commands.Key) uint64 {
	c.t.Helper()
	c.letter(k)
	var numbers []uint64
	err := c.client().Letters(c.t.Context(), producer.LetterFilter{}, func(l producer.Letter) error {
		if l.Dead.Key() == k {
			numbers = append(numbers, l.Number)
		}
		return nil
	})
	if err != nil || len(numbers) != 1 {
		c.t.Fatalf("letters of %s %s: %v, %v; want one", k.CallRef, k.ID, numbers, err)
	}
	return numbers[0]
}

// replay replays the letter of a command; it must end so.
func (c *counter) replay(k commands.Key, o producer.ReplayOptions, want producer.ReplayEnding) producer.Replay {
	c.t.Helper()
	r, err := c.client().Replay(c.t.Context(), c.number(k), o)
	if err != nil || r.Ending != want {
		c.t.Fatalf("Replay(%s %s) = %s, %v, %v; want %s", k.CallRef, k.ID, r.Ending, r.Err, err, want)
	}
	return r
}

// TestAnUnknownPlaceIsReplayed: nobody knows whether it was dialled. It is
// refused until somebody says that it may be dialled twice, and then dialled; the
// first call, when it shows after all, is hung up.
func TestAnUnknownPlaceIsReplayed(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{lostAnswer("createCall", 1), heldBack("*/a/p/1", "")}}, quick)
	lost := key("a", "p")
	c.send(lost.Call(), commands.Place, body("p", toSharer, map[string]any{"metadata": map[string]string{"ticket": "4711"}}))
	c.assertUnknown(lost)
	c.idle()
	if r := c.replay(lost, producer.ReplayOptions{}, producer.ReplayRefused); !strings.Contains(r.Err.Error(), "--may-dial-twice") {
		t.Errorf("refused for %v; want it to say what allows it", r.Err)
	}
	if n := c.asked("a", "createCall"); n != 1 {
		t.Fatalf("Graph was asked for %d calls; want the first one alone", n)
	}

	if r := c.replay(lost, producer.ReplayOptions{MayDialTwice: true}, producer.Replayed); r.ID != "p-r1" {
		t.Errorf("replayed as %s; want p-r1", r.ID)
	}
	r := c.final(key("a", "p-r1"))
	if r.Status != commands.Succeeded || r.ReplayOf != "p" || r.Metadata["ticket"] != "4711" {
		t.Errorf("replay ended %s, replayOf %q, metadata %v; want it to succeed and to say of what", r.Status, r.ReplayOf, r.Metadata)
	}
	for _, record := range allResults(t, c.js) {
		if want := map[string]string{"p-r1": "p"}[record.CommandID]; record.ReplayOf != want {
			t.Errorf("%s of %s: replayOf %q; want %q", record.Status, record.CommandID, record.ReplayOf, want)
		}
	}
	if n := c.count("CALL_DEAD"); n != 0 {
		t.Errorf("%d dead letters; want the replayed one to be gone", n)
	}
	var live []producer.LiveCall
	var err error
	eventually(t, patience, "the replay's call in the registry", func() (bool, string) { // folded by itself, beside the outcome
		live, err = c.client().LiveCalls(t.Context(), producer.StopFilter{})
		return err != nil || len(live) > 0 && live[0].State == "established", fmt.Sprint(live)
	})
	if err != nil || len(live) != 1 || live[0].CallID != r.CallID || live[0].PlaceID != "p-r1" || live[0].State != "established" || !live[0].KeepAlive || live[0].Since().IsZero() {
		t.Errorf("LiveCalls() = %+v, %v; want the replay's call", live, err)
	}

	calls := c.sim.Sim.Calls()
	if len(calls) != 2 {
		t.Fatalf("Graph has %d calls; want the lost one and the replay's", len(calls))
	}
	c.release(calls[0].ID)
	eventually(t, patience, "the first call hung up", func() (bool, string) {
		call, ok := c.sim.Sim.Call(calls[0].ID)
		return ok && !call.Ended.IsZero(), call.State
	})
	if second, _ := c.sim.Sim.Call(r.CallID); !second.Ended.IsZero() {
		t.Errorf("the replay's call is %s; want it up", second.State)
	}
	c.history("a", "published p", "started p", "unknown p", "published p-r1", "started p-r1", "accepted p-r1", "succeeded p-r1")
}

// history holds the commands of a call's history to an order.
func (c *counter) history(callRef string, want ...string) {
	c.t.Helper()
	h, err := c.client().History(c.t.Context(), key(callRef, "").Call(), producer.HistoryOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, m := range h.Moments {
		switch {
		case m.Command != nil:
			got = append(got, "published "+m.Command.ID)
		case m.Result != nil:
			got = append(got, string(m.Result.Status)+" "+m.Result.CommandID)
		}
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("history of %s = %q; want %q", callRef, got, want)
	}
}

// TestWhatWasFoundOutIsNotReplayed: the truth about an unknown place turns up
// before its letter is replayed.
func TestWhatWasFoundOutIsNotReplayed(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{Faults: []graphsim.Fault{lostAnswer("createCall", 1), heldBack("*/a/p/1", "")}}, quick)
	lost := key("a", "p")
	c.send(lost.Call(), commands.Place, body("p", toSharer, nil))
	c.assertUnknown(lost)
	c.idle()
	c.assertCorrected(lost, c.sim.Sim.Calls()[0].ID)
	r := c.replay(lost, producer.ReplayOptions{MayDialTwice: true}, producer.ReplayRefused)
	if want := "has an outcome by now: succeeded"; !strings.Contains(r.Err.Error(), want) {
		t.Errorf("refused for %v; want %q", r.Err, want)
	}
	if n := c.asked("a", "createCall"); n != 1 {
		t.Errorf("Graph was asked for %d calls; want one", n)
	}
}

// TestRejectedCommandsAreReplayed when what was wrong is right; what still is
// wrong makes a new letter, whose replay goes on counting.
func TestRejectedCommandsAreReplayed(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	c.want("a", "p", commands.Place, toUser, nil)
	if r := c.ask("a", "again", commands.Place, toUser, nil); r.Status != commands.Rejected {
		t.Fatalf("a second place ended %s; want rejected", r.Status)
	}
	for n := 1; n <= 2; n++ {
		id := map[int]string{1: "again", 2: "again-r1"}[n]
		c.replay(key("a", id), producer.ReplayOptions{}, producer.Replayed)
		r := c.final(key("a", fmt.Sprintf("again-r%d", n)))
		if r.Status != commands.Rejected || r.ReplayOf != "again" {
			t.Errorf("replay %d ended %s, replayOf %q; want rejected, again", n, r.Status, r.ReplayOf)
		}
	}
	c.want("a", "bye", commands.Hangup, "", nil)
	eventually(t, patience, "the end of the call", func() (bool, string) { return len(c.events("a", commands.KindEnded)) == 1, "" })
	c.replay(key("a", "again-r2"), producer.ReplayOptions{}, producer.Replayed)
	if r := c.final(key("a", "again-r3")); r.Status != commands.Succeeded || r.ReplayOf != "again" {
		t.Errorf("the third replay ended %s, replayOf %q; want succeeded, again", r.Status, r.ReplayOf)
	}
	if n := c.count("CALL_DEAD"); n != 0 {
		t.Errorf("%d dead letters; want none", n)
	}
}

// TestReplayOfIsInWhateverEndsACommand: a hang-up ends a replay that waits, an id
// that was used before is told to replyTo, and a word that is no id is passed
// over.
func TestReplayOfIsInWhateverEndsACommand(t *testing.T) {
	t.Parallel()
	c := openCounter(t, graphsim.Options{}, nil)
	publish := func(callRef, of string, body []byte) {
		t.Helper()
		_, err := c.js.PublishMsg(t.Context(), &nats.Msg{Subject: "calls.commands.crm." + callRef + ".place", Data: body, Header: nats.Header{commands.HeaderReplayOf: {of}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	publish("a", "p", body("p-r1", toUser, map[string]any{"notBefore": time.Now().Add(time.Hour), "expiresAt": time.Now().Add(2 * time.Hour)}))
	c.want("a", "bye", commands.Hangup, "", nil)
	if r := c.final(key("a", "p-r1")); r.Status != commands.Cancelled || r.ReplayOf != "p" {
		t.Errorf("ended %s, replayOf %q; want cancelled, p", r.Status, r.ReplayOf)
	}
	publish("b", "not an id", body("p", toUser, nil))
	if r := c.final(key("b", "p")); r.Status != commands.Succeeded || r.ReplayOf != "" {
		t.Errorf("ended %s, replayOf %q; want succeeded and none", r.Status, r.ReplayOf)
	}
	copies, err := c.js.Conn().SubscribeSync("calls.replies.crm.desk")
	if err != nil {
		t.Fatal(err)
	}
	publish("b", "q", body("p", toUser, map[string]any{"replyTo": "calls.replies.crm.desk"}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	msg, err := copies.NextMsgWithContext(ctx)
	if err != nil || !strings.Contains(string(msg.Data), `"replayOf":"q"`) {
		t.Errorf("copy of an idConflict = %v, %v; want replayOf q", msg, err)
	}
}
