package graphsim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Notification is one notification to a call's callbackUri.
type Notification struct {
	MessageID   string    `json:"messageId"` // header X-Microsoft-Skype-Message-ID
	Time        time.Time `json:"time"`      // when it arose
	Kind        string    `json:"kind"`      // a call state, "roster", "operation" or "contentSharing"
	ChangeType  string    `json:"changeType"`
	ResourceURL string    `json:"resourceUrl"`
	Fault       string    `json:"fault,omitempty"`
	Attempts    int       `json:"attempts"`
	Status      int       `json:"status"` // of the last attempt, 0 for none
	// Outcome is "pending", "sent", "lost" or "refused".
	Outcome string `json:"outcome"`
}

// The outcomes of a notification.
const (
	outcomePending = "pending"
	outcomeSent    = "sent"
	outcomeLost    = "lost"
	outcomeRefused = "refused"
)

// event is something to tell about a call.
type event struct {
	kind       string
	changeType string
	path       string // below the call
	upper      bool   // the call's id in upper case without dashes, as with operations
	data       any
}

// notifyCallLocked tells of a call's state.
func (s *Sim) notifyCallLocked(c *call, changeType string, data object) {
	s.notifyLocked(c, event{kind: c.state, changeType: changeType, data: data})
}

// notifyLocked puts a notification into the call's outbox, if no fault has it.
func (s *Sim) notifyLocked(c *call, e event) {
	id := c.id
	if e.upper {
		id = strings.ToUpper(normalID(id))
	}
	resource := "/calls/" + id + e.path
	body, err := json.Marshal(typed("commsNotifications", object{"value": []object{typed("commsNotification", object{
		"changeType": e.changeType, "resource": "/app" + resource, "resourceUrl": "/communications" + resource,
		"callbackUri": c.callbackURI, "resourceData": e.data,
	})}}))
	if err != nil { // every value came from JSON or is ours
		s.opts.Logger.Error("notification cannot be written", "kind", e.kind, "err", err)
		return
	}
	n := &Notification{
		MessageID: uuid.NewString(), Time: time.Now(), Kind: e.kind, ChangeType: e.changeType,
		ResourceURL: "/communications" + resource, Outcome: outcomePending,
	}
	c.notifications = appendBounded(c.notifications, n)
	d := &delivery{
		note: n, stats: s.stats, body: body, uri: c.callbackURI, audience: c.appID, tenant: c.tenantID,
		chainID: c.chainID, scenarioID: c.scenarioID, incoming: e.changeType == "created" && e.kind == stateIncoming,
	}
	f := s.faultForLocked(faultSite{opNotification, c.callbackURI, c.tenantID, e.kind})
	n.Fault = f.name()
	s.postLocked(c, d, f)
}

// outbox delivers the notifications of one call in order.
type outbox struct {
	queue []*delivery
	held  []*delivery // swapped: waiting for another to overtake
	busy  bool
}

// drop forgets what waits.
func (o *outbox) drop() { o.queue, o.held = nil, nil }

// postLocked queues a delivery, or does to it what a fault says.
func (s *Sim) postLocked(c *call, d *delivery, f strike) {
	what := NotificationFault("")
	if f.fault != nil {
		what = f.fault.Notifications
	}
	d.stats.notifications.Pending++
	switch what {
	case Lose:
		d.stats.notifications.Pending--
		d.stats.notifications.Lost++
		d.note.Outcome = outcomeLost
		return
	case Late:
		// Not through the queue: what comes meanwhile overtakes it.
		s.afterLocked(orLate(f.delay), func() { s.deliverLocked(d) })
		return
	case Swap:
		c.outbox.held = append(c.outbox.held, d)
		s.afterLocked(orLate(f.delay), func() { // if nothing overtakes
			if i := slices.Index(c.outbox.held, d); i >= 0 {
				c.outbox.held = slices.Delete(c.outbox.held, i, i+1)
				s.queueLocked(c, d)
			}
		})
		return
	case Double:
		second := *d
		second.stats.notifications.Pending++
		if f.delay > 0 {
			s.afterLocked(f.delay, func() { s.queueLocked(c, &second) })
			s.queueLocked(c, d)
			return
		}
		s.queueLocked(c, d, &second)
		return
	}
	held := c.outbox.held
	c.outbox.held = nil
	s.queueLocked(c, append([]*delivery{d}, held...)...)
}

func orLate(d time.Duration) time.Duration {
	if d == 0 {
		return lateBy
	}
	return d
}

// queueLocked appends deliveries and starts the one who carries them.
func (s *Sim) queueLocked(c *call, deliveries ...*delivery) {
	c.outbox.queue = append(c.outbox.queue, deliveries...)
	if c.outbox.busy || s.closed {
		return
	}
	c.outbox.busy = true
	s.work.Go(func() {
		for {
			s.mu.Lock()
			if len(c.outbox.queue) == 0 || s.closed {
				c.outbox.busy = false
				s.mu.Unlock()
				return
			}
			d := c.outbox.queue[0]
			c.outbox.queue = c.outbox.queue[1:]
			s.mu.Unlock()
			s.deliver(d)
		}
	})
}

// deliverLocked delivers apart from the queue.
func (s *Sim) deliverLocked(d *delivery) {
	if !s.closed {
		s.work.Go(func() { s.deliver(d) })
	}
}
