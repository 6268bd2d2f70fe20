package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbus/internal/commands"
)

// LiveCall is a call as the registry knows it.
type LiveCall struct {
	Producer    string `json:"producer"` // [commands.IncomingProducer]: came in, and nobody has claimed it
	CallRef     string `json:"callRef"`
	State       string `json:"state,omitempty"`
	CallID      string `json:"callId,omitempty"`
	CallChainID string `json:"callChainId,omitempty"`
	TenantID    string `json:"tenantId,omitempty"`
	// PlaceID is the command that placed it; empty when it was not placed here.
	PlaceID       string    `json:"placeId,omitempty"`
	AcceptedAt    time.Time `json:"acceptedAt,omitzero"`
	EstablishedAt time.Time `json:"establishedAt,omitzero"`
	EndedAt       time.Time `json:"endedAt,omitzero"`
	Reason        string    `json:"reason,omitempty"`    // of the end
	RespondBy     time.Time `json:"respondBy,omitzero"`  // incoming: when Graph gives up
	KeepAlive     bool      `json:"keepAlive,omitempty"` // workers keep it alive
	// Hangup says why it is to end, if it is.
	Hangup string `json:"hangup,omitempty"`
	// Open are the commands that wait for their outcome.
	Open []OpenCommand `json:"open,omitempty"`
}

// OpenCommand is a command that Graph has taken and whose outcome follows.
type OpenCommand struct {
	ID     string          `json:"id"`
	Action commands.Action `json:"action"`
}

// Call is the call's name.
func (l LiveCall) Call() commands.CallKey {
	return commands.CallKey{Producer: l.Producer, CallRef: l.CallRef}
}

// Since is when the call came to be what it is: answered, or accepted by Graph;
// zero when the registry does not say.
func (l LiveCall) Since() time.Time {
	if !l.EstablishedAt.IsZero() {
		return l.EstablishedAt
	}
	return l.AcceptedAt
}

// LiveCalls lists the calls that live, by name, also those that came in and that
// nobody has claimed yet. It needs an operator's rights: it reads the registry's
// bucket. It blocks until that is read; a server that does not answer is asked
// again until ctx ends. An entry that cannot be read is one of state
// "unreadable".
func (c *Client) LiveCalls(ctx context.Context, f StopFilter) ([]LiveCall, error) {
	if f.Producer != commands.IncomingProducer {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	var live []LiveCall
	err := c.insist(ctx, "read which calls there are", func(ctx context.Context) error {
		live = nil
		return c.eachEntry(ctx, f.producers()+".*", func(key string, value []byte) {
			if call, ok := readEntry(key, value); ok && call.lives() && !f.elsewhere(call.TenantID) {
				live = append(live, call)
			}
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(live, func(a, b LiveCall) int { return strings.Compare(a.Call().String(), b.Call().String()) })
	return live, nil
}

func (l LiveCall) lives() bool {
	return l.State == unreadable || l.CallID != "" && l.EndedAt.IsZero()
}

// readEntry reads one entry of the registry; false when the key is none of a
// call's.
func readEntry(key string, value []byte) (LiveCall, bool) {
	producer, callRef, _ := strings.Cut(key, ".")
	call := LiveCall{Producer: producer, CallRef: callRef}
	if checkCall(call.Call()) != nil && producer != commands.IncomingProducer {
		return call, false
	}
	var e registryEntry
	if json.Unmarshal(value, &e) != nil {
		call.State = unreadable
		return call, true
	}
	call.State, call.CallID, call.CallChainID, call.TenantID, call.PlaceID = e.State, e.CallID, e.CallChainID, e.TenantID, e.PlaceID
	call.AcceptedAt, call.EstablishedAt, call.EndedAt, call.RespondBy = e.AcceptedAt, e.EstablishedAt, e.EndedAt, e.RespondBy
	call.Reason, call.KeepAlive, call.Hangup = e.Reason, e.KeepAlive, e.HangupReason
	for _, o := range e.Open {
		if !o.Settled {
			call.Open = append(call.Open, OpenCommand{o.ID, o.Action})
		}
	}
	return call, true
}

// registryOf reads the registry's entry of one call from the bucket's leader;
// nil when there is none. It needs an operator's rights.
func (c *Client) registryOf(ctx context.Context, call commands.CallKey) (*LiveCall, error) {
	bucket := c.prefix.Registry()
	msg, err := c.leaderGet(ctx, "KV_"+bucket, lastBy(fmt.Sprintf("$KV.%s.%s", bucket, call)))
	if err != nil || msg == nil || len(msg.data) == 0 { // deleted, or expired
		return nil, err
	}
	entry, ok := readEntry(call.String(), msg.data)
	if !ok {
		return nil, nil
	}
	return &entry, nil
}
