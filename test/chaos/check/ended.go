package check

import (
	"strings"

	"callbus/internal/commands"
)

// checkEnded wants every call that was known to have ended and to have exactly one
// event "ended", and none for any other call. A call lives on only if nobody ever
// heard of it.
func checkEnded(x *index, broken breach) {
	ends := map[string]int{}
	for i := range x.h.Events {
		e := &x.h.Events[i]
		if e.Kind != commands.KindEnded {
			continue
		}
		id := commands.NormalCallID(e.CallID)
		ends[id]++
		if x.sims[id] == nil {
			broken(name(e.Call()), "event %d tells the end of call %q, which never was", e.Seq, e.CallID)
		}
	}
	bound := map[string]bool{}
	for _, c := range x.commands {
		if c.Action != commands.Place {
			continue
		}
		for _, r := range c.records {
			if r.CallID != "" {
				bound[commands.NormalCallID(r.CallID)] = true
			}
		}
	}
	for _, s := range x.simOrder {
		if s.Direction == "incoming" || s.place == nil {
			continue
		}
		id := commands.NormalCallID(s.ID)
		n := ends[id]
		switch known := bound[id]; {
		case s.Ended.IsZero() && (known || s.heard() || !x.orphan(s)):
			broken(s.placeKey, "call %s lives on", s.ID)
		case s.Ended.IsZero():
			x.report.Excused["a call lives on that nobody ever heard of"]++
		case known && n != 1, !known && n > 1:
			broken(s.placeKey, "the end of call %s was told %d times", s.ID, n)
		case !known && n == 1 && !x.orphan(s):
			broken(s.placeKey, "the end of call %s was told, which no record of its place knows", s.ID)
		}
	}
}

// checkStored wants an event for every notification that was answered 2xx.
func checkStored(x *index, broken breach) {
	stored := map[string]bool{}
	for i := range x.h.Events {
		if id, _, ok := strings.Cut(x.h.Events[i].MessageID, "."); ok { // Graph's ids are GUIDs
			stored[id] = true
		}
	}
	for _, s := range x.simOrder {
		for _, n := range s.Notifications {
			if n.Outcome == "sent" && !stored[n.MessageID] {
				broken(s.placeKey, "the notification %s (%s) of call %s was taken and is not stored", n.MessageID, n.Kind, s.ID)
			}
		}
	}
}
