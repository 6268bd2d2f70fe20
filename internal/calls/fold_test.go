package calls

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbus/internal/commands"
)

// at is the n-th second of a call.
func at(n int) time.Time { return time.Date(2026, 11, 24, 10, 0, n, 0, time.UTC) }

func told(n int, state string) commands.Event {
	return commands.Event{Kind: commands.KindState, Time: at(n), State: state}
}

func withInfo(ev commands.Event, code, subcode int) commands.Event {
	ev.ResultInfo = &commands.ResultInfo{Code: code, Subcode: subcode}
	return ev
}

func readAs(n int, state string) commands.Event {
	ev := told(n, state)
	ev.Source = commands.SourceRead
	return ev
}

// seed is an entry of which state is known.
func seed(state string, open ...Open) Entry {
	e := Entry{PlaceID: "p1", CallID: "c1", State: state, Notified: true, Open: open}
	if rank(state) >= rank(StateEstablished) {
		e.EstablishedAt = at(1)
	}
	if state == StateTerminated {
		e.EndedAt, e.Reason = at(9), "ended"
	}
	return e
}

var transferOpen = Open{ID: "x1", Action: commands.Transfer}

func TestFoldMovesThroughTheStates(t *testing.T) {
	for _, row := range []struct {
		name  string
		from  Entry
		event commands.Event
		state string
		moved bool // changed
		doubt bool
	}{
		{"nothing is known before the created notification", Entry{Notified: true}, told(1, StateIncoming), StateIncoming, true, false},
		{"a placed call is establishing", Entry{Notified: true}, told(1, StateEstablishing), StateEstablishing, true, false},
		{"an incoming call that is answered elsewhere is establishing", seed(StateIncoming), told(1, StateEstablishing), StateEstablishing, true, false},
		{"an incoming call is redirecting", seed(StateIncoming), told(1, StateRedirecting), StateRedirecting, true, false},
		{"an incoming call that nobody took ends", seed(StateIncoming), told(1, StateTerminated), StateTerminated, true, false},
		{"a redirect ends the call", seed(StateRedirecting), told(1, StateTerminated), StateTerminated, true, false},
		{"the callee answers", seed(StateEstablishing), told(1, StateEstablished), StateEstablished, true, false},
		{"the callee is busy", seed(StateEstablishing), withInfo(told(1, StateTerminated), 486, 560486), StateTerminated, true, false},
		{"the remote side holds", seed(StateEstablished), told(2, StateHold), StateHold, true, false},
		{"the remote side comes back", seed(StateHold), told(2, StateEstablished), StateEstablished, true, false},
		{"a transfer begins", seed(StateEstablished), told(2, StateTransferring), StateTransferring, true, false},
		{"a transfer is accepted", seed(StateTransferring), told(2, StateTransferAccepted), StateTransferAccepted, true, false},
		{"an accepted transfer ends the call", seed(StateTransferAccepted), told(2, StateTerminated), StateTerminated, true, false},
		{"a transfer fails and the call lives", seed(StateTransferring, transferOpen), withInfo(told(2, StateEstablished), 500, 7000), StateEstablished, true, false},
		{"an accepted transfer fails and the call lives", seed(StateTransferAccepted, transferOpen), withInfo(told(2, StateEstablished), 500, 7700), StateEstablished, true, false},
		{"a call is hung up", seed(StateEstablished), told(2, StateTerminating), StateTerminating, true, false},
		{"a ringing call is hung up", seed(StateEstablishing), told(2, StateTerminating), StateTerminating, true, false},
		{"a hung up call ends", seed(StateTerminating), told(2, StateTerminated), StateTerminated, true, false},
		{"the other side hangs up without terminating", seed(StateEstablished), told(2, StateTerminated), StateTerminated, true, false},

		{"established twice changes nothing", seed(StateEstablished), told(5, StateEstablished), StateEstablished, false, false},
		{"late establishing changes nothing", seed(StateEstablished), told(0, StateEstablishing), StateEstablished, false, false},
		{"late establishing of a held call changes nothing", seed(StateHold), told(0, StateEstablishing), StateHold, false, false},
		{"transferring that comes after its acceptance changes nothing", seed(StateTransferAccepted), told(2, StateTransferring), StateTransferAccepted, false, false},
		{"a hold during a transfer changes nothing", seed(StateTransferring), told(2, StateHold), StateTransferring, false, false},
		{"late established of a call that is terminating changes nothing", seed(StateTerminating), told(2, StateEstablished), StateTerminating, false, false},
		{"a state that nobody knows changes nothing", seed(StateEstablished), told(2, "levitating"), StateEstablished, false, false},
		{"an event without a state changes nothing", seed(StateEstablished), told(2, ""), StateEstablished, false, false},
		{"terminated is absorbing for established", seed(StateTerminated), told(10, StateEstablished), StateTerminated, false, false},
		{"terminated is absorbing for a second end", seed(StateTerminated), withInfo(told(10, StateTerminated), 500, 1), StateTerminated, false, false},

		{"established during a transfer may be late news and is read", seed(StateTransferring, transferOpen), told(2, StateEstablished), StateTransferring, false, true},
		{"established with a good code during a transfer is read too", seed(StateTransferring, transferOpen), withInfo(told(2, StateEstablished), 0, 0), StateTransferring, false, true},
		{"a reading that shows established during a transfer ends it", seed(StateTransferring, transferOpen), readAs(2, StateEstablished), StateEstablished, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := row.from
			changed, doubt := e.Fold(row.event)
			if e.State != row.state || changed != row.moved || doubt != row.doubt {
				t.Fatalf("Fold() = state %q, changed %t, doubt %t; want %q, %t, %t", e.State, changed, doubt, row.state, row.moved, row.doubt)
			}
			if e.Ended() != (row.state == StateTerminated) {
				t.Errorf("Ended() = %t in state %q", e.Ended(), e.State)
			}
			if doubt {
				return
			}
			again := e
			if changed, _ := again.Fold(row.event); changed {
				t.Errorf("Fold() of the same event again changed %s", cmp.Diff(e, again, cmp.AllowUnexported(Entry{})))
			}
		})
	}
}

func TestFoldRemembersWhenThingsHappened(t *testing.T) {
	e := Entry{CallID: "c1"}
	for _, ev := range []commands.Event{
		told(1, StateEstablishing), told(5, StateHold), told(6, StateEstablished), withInfo(told(30, StateTerminated), 200, 540000), told(40, StateTerminated),
	} {
		e.Fold(ev)
	}
	if !e.Notified || !e.EstablishedAt.Equal(at(5)) || !e.EndedAt.Equal(at(30)) || e.Reason != "ended" || e.ResultInfo.Subcode != 540000 {
		t.Fatalf("entry = %+v; want notified, established by the hold at 5, ended at 30 as the first end said", e)
	}
}

func TestFoldTakesLateNewsOfTheAnswerWhileTerminating(t *testing.T) {
	e := seed(StateEstablishing)
	e.Fold(told(3, StateTerminating))
	if !e.EstablishedAt.IsZero() {
		t.Fatalf("EstablishedAt = %v after terminating; want none: a ringing call was hung up", e.EstablishedAt)
	}
	if changed, _ := e.Fold(told(4, StateEstablished)); !changed || e.State != StateTerminating || e.EstablishedAt.IsZero() {
		t.Fatalf("entry = %+v; want the answer noted and the state kept", e)
	}
}

func TestFoldOfTransfers(t *testing.T) {
	t.Run("failure before its transferring is not undone by it", func(t *testing.T) {
		e := seed(StateEstablished, transferOpen)
		e.Fold(withInfo(told(3, StateEstablished), 500, 7000))
		e.Fold(told(2, StateTransferring))
		if e.State != StateEstablished || e.TransferFailure == nil || e.TransferFailure.Subcode != 7000 {
			t.Fatalf("entry = %+v; want the failed transfer", e)
		}
	})
	t.Run("a reading from before the transfer proves nothing", func(t *testing.T) {
		e := seed(StateEstablished, transferOpen)
		e.Fold(told(5, StateTransferring))
		if changed, doubt := e.Fold(readAs(4, StateEstablished)); changed || doubt || e.State != StateTransferring || e.TransferFailure != nil {
			t.Fatalf("Fold() = %t, %t with %+v; want nothing changed", changed, doubt, e)
		}
		if e.Fold(readAs(6, StateEstablished)); e.TransferFailure == nil {
			t.Fatalf("entry = %+v; want the later reading to end the transfer", e)
		}
	})
	t.Run("a second transfer starts with a clean slate", func(t *testing.T) {
		e := seed(StateEstablished, transferOpen)
		e.Fold(told(2, StateTransferring))
		e.Fold(told(3, StateTransferAccepted))
		e.Fold(withInfo(told(4, StateEstablished), 500, 7000))
		e.Remove("x1")
		e.Add(Open{ID: "x2", Action: commands.Transfer})
		if e.TransferFailure != nil || e.TransferAccepted {
			t.Fatalf("entry = %+v; want the first transfer forgotten", e)
		}
		e.Fold(told(5, StateTransferring))
		if e.State != StateTransferring {
			t.Fatalf("state = %q; want the second transfer under way", e.State)
		}
	})
}

func TestFoldOfOtherNews(t *testing.T) {
	yes, five, respond := true, 5, at(15)
	e := seed(StateEstablished, Open{ID: "pp1", Action: commands.PlayPrompt, ClientContext: "pp1"})
	if changed, _ := e.Fold(commands.Event{Time: at(2), AudioActive: &yes, Participants: &five, CallChainID: "chain", TenantID: "tenant", RespondBy: &respond}); !changed {
		t.Fatal("Fold() changed nothing")
	}
	if !e.AudioActive || e.Participants != 5 || e.CallChainID != "chain" || e.TenantID != "tenant" || !e.RespondBy.Equal(respond) {
		t.Fatalf("entry = %+v; want audio, roster, chain, tenant and respondBy", e)
	}
	e.Fold(commands.Event{Time: at(3), CallChainID: "other", TenantID: "other"})
	if e.CallChainID != "chain" || e.TenantID != "tenant" {
		t.Errorf("entry = %+v; want the first chain and tenant kept", e)
	}
	read := Entry{CallID: "c1"}
	if read.Fold(readAs(1, StateEstablished)); read.Notified {
		t.Error("Notified after a reading; want only notifications to count")
	}
}

func TestFoldOfOperations(t *testing.T) {
	op := func(id, context, status string) *commands.Operation {
		return &commands.Operation{ID: id, ClientContext: context, Status: status, ResultInfo: &commands.ResultInfo{Code: 200}}
	}
	for _, row := range []struct {
		name    string
		open    Open
		op      *commands.Operation
		matched bool
	}{
		{"the id decides, however it is spelled", Open{ID: "a", OperationID: "0A1B-2C"}, op("0a1b2c", "other", "completed"), true},
		{"another id is another operation, whatever its context", Open{ID: "a", OperationID: "1", ClientContext: "a"}, op("2", "a", "completed"), false},
		{"before the answer the context decides", Open{ID: "a", ClientContext: "a"}, op("2", "a", "failed"), true},
		{"another context is another command", Open{ID: "a", ClientContext: "a"}, op("2", "b", "completed"), false},
		{"no context matches nothing", Open{ID: "a"}, op("2", "", "completed"), false},
		{"a running operation is no news", Open{ID: "a", OperationID: "2"}, op("2", "", "running"), false},
		{"the first end stands", Open{ID: "a", OperationID: "2", Status: "failed"}, op("2", "", "completed"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := seed(StateEstablished, row.open)
			changed, _ := e.Fold(commands.Event{Kind: commands.KindOperation, Time: at(2), Operation: row.op})
			if changed != row.matched {
				t.Fatalf("Fold() changed = %t; want %t", changed, row.matched)
			}
			if row.matched && (e.Open[0].Status != row.op.Status || e.Open[0].OperationID == "" || e.Open[0].ResultInfo == nil) {
				t.Errorf("open = %+v; want the operation's status, id and resultInfo", e.Open[0])
			}
		})
	}
}
