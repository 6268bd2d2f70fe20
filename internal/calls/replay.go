package calls

import (
	"cmp"
	"slices"
	"time"

	"callbus/internal/commands"
	"callbus/internal/ledger"
)

// moment is a record or an event, and when the server stored it.
type moment struct {
	at     time.Time
	record *ledger.Record
	event  *commands.Event
}

// replay makes the registry anew from all records and events, as the workers made
// it from them one by one. It is pure.
type replay struct {
	entries map[commands.CallKey]*Entry
	claims  map[string]commands.CallKey // by normal Graph call id

	places map[commands.Key]*placing
	names  map[commands.CallKey]string // the place that a name stands for
	finals map[commands.Key]bool
	binds  map[bond]*ledger.Record
}

// bond is a call that was not placed here, under the name that a command gave it.
type bond struct {
	call commands.CallKey
	id   string // normal Graph call id
}

// placing is what all records of one place say together.
type placing struct {
	callID   string
	tenant   string
	accepted time.Time // when it was first told that Graph has the call
	status   commands.Status
	known    bool // so far: has a record
	placed   bool // so far: has been accepted
	limits   commands.CallLimits
}

func replayed(moments []moment) *replay {
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	r := &replay{
		entries: map[commands.CallKey]*Entry{}, claims: map[string]commands.CallKey{},
		places: map[commands.Key]*placing{}, names: map[commands.CallKey]string{}, finals: map[commands.Key]bool{},
		binds: map[bond]*ledger.Record{},
	}
	for _, m := range moments {
		if m.record != nil {
			r.foresee(m.record)
		}
	}
	for _, m := range moments {
		if m.record != nil {
			r.record(m.record)
		} else {
			r.event(*m.event)
		}
	}
	return r
}

// foresee notes what later records say of which call a name stands for: events of
// that call may have been stored before them.
func (r *replay) foresee(rec *ledger.Record) {
	if rec.Terms.Bound && rec.Status != commands.Rejected && rec.CallID != "" {
		if b := (bond{rec.Key().Call(), commands.NormalCallID(rec.CallID)}); r.binds[b] == nil {
			r.binds[b] = rec
		}
	}
	if rec.Action != commands.Place {
		return
	}
	p := r.places[rec.Key()]
	if p == nil {
		p = &placing{}
		r.places[rec.Key()] = p
	}
	p.tenant = cmp.Or(rec.TenantID, p.tenant)
	p.limits = cmp.Or(p.limits, rec.Terms.Limits)
	first := p.callID == "" && rec.CallID != ""
	if first {
		p.callID = rec.CallID
	}
	if first || (rec.Status == commands.Unknown && p.callID == "") {
		p.accepted = rec.Time
	}
}

func (r *replay) entry(call commands.CallKey) *Entry {
	e := r.entries[call]
	if e == nil {
		e = &Entry{}
		r.entries[call] = e
	}
	return e
}

func (r *replay) record(rec *ledger.Record) {
	key := rec.Key()
	call := key.Call()
	if rec.PlaceID != "" {
		r.names[call] = rec.PlaceID
	}
	if rec.Final {
		r.finals[key] = true
	}
	if rec.Action == commands.Place {
		r.place(rec)
		return
	}
	if rec.Terms.Bound && rec.Status != commands.Rejected {
		r.bind(rec)
	}
	e := r.entries[call]
	if rec.Action == commands.Hangup {
		r.hangup(rec)
	}
	if e == nil {
		return
	}
	switch {
	case rec.Final && rec.Status == commands.Unknown:
		e.markSettled([]string{key.ID})
	case rec.Final:
		e.Remove(key.ID)
	case rec.CallID == "" || !e.Is(rec.CallID) || rec.Action.Read():
	case rec.Status == commands.Accepted, rec.Status == commands.Started && rec.ClientContext != "":
		o := Open{ID: key.ID, Action: rec.Action, ClientContext: rec.ClientContext}
		if rec.Operation != nil {
			o.OperationID = rec.Operation.ID
		}
		e.Add(o)
	}
}

// place follows the records of a place as Placed and CloseOpen do.
func (r *replay) place(rec *ledger.Record) {
	key := rec.Key()
	p, e := r.places[key], r.entries[key.Call()]
	p.known, p.status = true, rec.Status
	if rec.Status == commands.Accepted && !p.placed {
		p.placed = true
		e = r.entry(key.Call())
		r.claim(rec.CallID, key.Call())
		if e.PlaceID == key.ID && e.Is(rec.CallID) {
			e.Limits = p.limits
		} else {
			wanted, reason := e.HangupWanted && e.PlaceID == key.ID, e.HangupReason
			*e = Entry{
				PlaceID: key.ID, Attempt: rec.Attempts, CallID: rec.CallID, TenantID: rec.TenantID, State: StateEstablishing,
				AcceptedAt: rec.Time, KeepAlive: true, Limits: p.limits, Open: []Open{{ID: key.ID, Action: commands.Place}},
			}
			if wanted {
				e.HangupWanted, e.HangupReason = true, reason
			}
		}
	}
	if e == nil || !rec.Final || e.PlaceID != key.ID {
		return
	}
	if rec.Status == commands.Unknown {
		e.markSettled([]string{key.ID})
	} else {
		e.Remove(key.ID)
	}
}

// hangup follows WantHangup and WantHangupOf.
func (r *replay) hangup(rec *ledger.Record) {
	call := rec.Key().Call()
	e := r.entries[call]
	if rec.Status == commands.Started && e != nil && e.Is(rec.CallID) && !e.HangupWanted && !e.Ended() {
		e.HangupWanted, e.HangupReason = true, "hungUp"
	}
	name := r.names[call]
	p := r.places[commands.Key{Producer: call.Producer, CallRef: call.CallRef, ID: name}]
	waits := rec.Status == commands.Waiting && rec.Reason == "callNotReady"
	ends := rec.Status == commands.Unknown && rec.Error != nil && rec.Error.Code == "placeUnknown"
	if p == nil || !(waits && p.status == commands.Started || ends) {
		return
	}
	e = r.entry(call)
	switch {
	case e.PlaceID == name && e.Ended(), e.PlaceID != name && e.Live():
		return
	case e.PlaceID != name:
		*e = Entry{PlaceID: name}
	}
	if !e.HangupWanted {
		e.HangupWanted, e.HangupReason = true, "hungUp"
	}
	if ends {
		e.Add(Open{ID: rec.CommandID, Action: commands.Hangup, Settled: true})
	}
}

// claim makes call the owner of a Graph call id, unless somebody else is.
func (r *replay) claim(callID string, call commands.CallKey) bool {
	id := commands.NormalCallID(callID)
	if owner, ok := r.claims[id]; ok && owner != call && owner.Producer != commands.IncomingProducer {
		return false
	}
	r.claims[id] = call
	return true
}

// bind follows BindCall.
func (r *replay) bind(rec *ledger.Record) {
	call := rec.Key().Call()
	e := r.entry(call)
	if rec.CallID == "" || e.Is(rec.CallID) || e.Live() || !r.claim(rec.CallID, call) {
		return
	}
	incoming := commands.CallKey{Producer: commands.IncomingProducer, CallRef: commands.NormalCallID(rec.CallID)}
	fresh := Entry{CallID: rec.CallID, TenantID: rec.TenantID}
	if was := r.entries[incoming]; was != nil && was.Is(rec.CallID) {
		fresh = *was
		delete(r.entries, incoming)
	}
	fresh.KeepAlive = rec.Terms.KeepAlive
	*e = fresh
}

// event follows take.
func (r *replay) event(ev commands.Event) {
	if ev.Producer == commands.IncomingProducer {
		if owner, ok := r.claims[commands.NormalCallID(ev.CallID)]; ok {
			ev.Producer, ev.CallRef = owner.Producer, owner.CallRef
		}
	}
	e := r.find(ev)
	switch {
	case e == nil:
	case ev.Kind != commands.KindOther:
		e.Fold(ev)
	case ev.Hint == hintLimited && !e.HangupWanted && !e.Ended():
		e.HangupWanted, e.HangupReason = true, ev.Reason
	}
}

// find is the entry that an event is about, nil for none; see Calls.find and
// Calls.bind.
func (r *replay) find(ev commands.Event) *Entry {
	call := ev.Call()
	e := r.entries[call]
	switch {
	case ev.Kind == commands.KindOther && ev.Hint != hintLimited:
		return nil
	case e != nil && e.Is(ev.CallID) && (ev.CommandID == "" || ev.CommandID == e.PlaceID):
		return e
	case ev.CommandID != "":
		return r.bound(ev)
	case r.binds[bond{call, commands.NormalCallID(ev.CallID)}] != nil:
		r.bind(r.binds[bond{call, commands.NormalCallID(ev.CallID)}])
		if e = r.entries[call]; !e.Is(ev.CallID) {
			return nil
		}
		return e
	case ev.Kind != commands.KindIncoming || (e != nil && e.Live()) || !r.claim(ev.CallID, call):
		return nil
	}
	e = r.entry(call)
	*e = Entry{CallID: ev.CallID, TenantID: ev.TenantID, AcceptedAt: ev.Time}
	return e
}

// bound makes an event's call the one that its place's name stands for.
func (r *replay) bound(ev commands.Event) *Entry {
	call := ev.Call()
	p := r.places[commands.Key{Producer: ev.Producer, CallRef: ev.CallRef, ID: ev.CommandID}]
	if p == nil || !p.known || p.callID == "" || commands.NormalCallID(p.callID) != commands.NormalCallID(ev.CallID) || r.names[call] != ev.CommandID {
		return nil
	}
	r.claim(ev.CallID, call)
	e := r.entry(call)
	fresh := Entry{
		PlaceID: ev.CommandID, Attempt: ev.Attempt, CallID: ev.CallID, TenantID: p.tenant, AcceptedAt: p.accepted, KeepAlive: true,
	}
	if e.PlaceID == ev.CommandID {
		fresh.Limits, fresh.HangupWanted, fresh.HangupReason, fresh.Open = e.Limits, e.HangupWanted, e.HangupReason, e.Open
	}
	if !p.status.Final() || p.status == commands.Unknown {
		fresh.Add(Open{ID: ev.CommandID, Action: commands.Place})
	}
	*e = fresh
	return e
}
