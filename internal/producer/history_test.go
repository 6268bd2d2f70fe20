package producer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var callA = commands.CallKey{Producer: "crm", CallRef: "a"}

// life stores what a placed, ended and used again call leaves behind.
func (b *bus) life() {
	b.t.Helper()
	published := time.Now().Add(-time.Minute).UTC()
	record := func(id string, action commands.Action, s commands.Status) {
		b.result(commands.Result{Producer: "crm", CallRef: "a", CommandID: id, Action: action, Status: s, Timing: &commands.Timing{ReceivedAt: &published}}, "")
	}
	record("p", commands.Place, commands.Started)
	b.event(commands.Event{Producer: "crm", CallRef: "a", Kind: commands.KindState, State: "established"})
	record("p", commands.Place, commands.Succeeded)
	b.event(commands.Event{Producer: "crm", CallRef: "a", Kind: commands.KindKeepAlive, Reason: "succeeded"})
	b.event(commands.Event{Producer: "crm", CallRef: "a", Kind: commands.KindEnded, Reason: "ended"})
	b.bury(letterOf(commands.CauseCallLives, commands.Place, "p2", aPlace))
	record("p2", commands.Place, commands.Rejected)
	record("q", commands.Mute, commands.Waiting)
	b.publish(commands.Mute, `{"id":"q"}`, nil)
	b.publish(commands.Hangup, `{"id":"h"}`, nats.Header{commands.HeaderReplayOf: {"g"}})
	b.register("crm.a", live("c-1", contoso))
	// Somebody else's, of the same name and of the same producer.
	b.result(commands.Result{Producer: "shop", CallRef: "a", CommandID: "p", Status: commands.Failed}, "")
	b.result(commands.Result{Producer: "crm", CallRef: "b", CommandID: "p", Status: commands.Failed}, "")
}

var (
	ownPart = []string{"place p published", "place p2 published", "mute q published", "p started", "·state", "p succeeded", "·keepAlive", "·ended", "p2 rejected", "q waiting"}
	allOf   = []string{"place p published", "place p2 published", "mute q published (in the queue)", "p started", "·state", "p succeeded", "·keepAlive", "·ended", "dead letter p2 callLives", "p2 rejected", "q waiting", "hangup h published (in the queue)"}
)

// story is a history in words.
func story(h History) []string {
	var all []string
	for _, m := range h.Moments {
		switch {
		case m.Command != nil && m.Command.Queued:
			all = append(all, fmt.Sprintf("%s %s published (in the queue)", m.Command.Action, m.Command.ID))
		case m.Command != nil:
			all = append(all, fmt.Sprintf("%s %s published", m.Command.Action, m.Command.ID))
		case m.Result != nil:
			all = append(all, fmt.Sprintf("%s %s", m.Result.CommandID, m.Result.Status))
		case m.Event != nil:
			all = append(all, "·"+string(m.Event.Kind))
		case m.Letter != nil:
			all = append(all, fmt.Sprintf("dead letter %s %s", m.Letter.CommandID, m.Letter.Cause))
		default:
			all = append(all, "unreadable "+m.Unreadable)
		}
	}
	return all
}

func TestHistory(t *testing.T) {
	b := newLetterBus(t)
	b.life()
	for range 2 { // what was read a moment ago is read whole again
		h, err := b.client.History(t.Context(), callA, HistoryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(allOf, story(h)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		if h.Hidden != nil || h.Now == nil || h.Now.CallID != "c-1" || h.Now.State != "established" {
			t.Errorf("hidden %v, now %+v; want nothing hidden and the registry's entry", h.Hidden, h.Now)
		}
		for i, m := range h.Moments {
			if i > 0 && m.Time.Before(h.Moments[i-1].Time) {
				t.Errorf("%v is earlier than what stands before it", m)
			}
			if m.Command != nil && m.Command.ID == "h" && m.Command.ReplayOf != "g" {
				t.Errorf("%+v; want a replay of g", m.Command)
			}
		}
	}
}

func TestHistorySinceATime(t *testing.T) {
	b := newLetterBus(t)
	b.life()
	all, err := b.client.History(t.Context(), callA, HistoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.client.History(t.Context(), callA, HistoryOptions{Since: all.Moments[7].Time})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(allOf[7:], story(h)); diff != "" {
		t.Errorf("history since the end (-want +got):\n%s", diff)
	}
}

func TestHistoryOfNothing(t *testing.T) {
	b := newLetterBus(t)
	h, err := b.client.History(t.Context(), callA, HistoryOptions{})
	if err != nil || h.Moments != nil || h.Now != nil || h.Hidden != nil {
		t.Errorf("History() = %+v, %v; want nothing", h, err)
	}
	for _, call := range []commands.CallKey{{Producer: "crm"}, {Producer: Everyone, CallRef: "a"}, {Producer: "crm", CallRef: "*"}, {Producer: "a.b", CallRef: "a"}} {
		if _, err := b.client.History(t.Context(), call, HistoryOptions{}); err == nil {
			t.Errorf("History(%v) takes it", call)
		}
	}
}

func TestHistoryShowsWhatCannotBeRead(t *testing.T) {
	b := newLetterBus(t)
	for _, subject := range []string{"calls.results.crm.a.p", "calls.events.crm.a.state", "calls.dead.crm.a.p"} {
		if _, err := b.js.Publish(t.Context(), subject, []byte("nonsense")); err != nil {
			t.Fatal(err)
		}
	}
	b.register("crm.a", "nonsense")
	h, err := b.client.History(t.Context(), callA, HistoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := "unreadable calls.results.crm.a.p, unreadable calls.events.crm.a.state, unreadable calls.dead.crm.a.p"
	if got := strings.Join(story(h), ", "); got != want || h.Now == nil || h.Now.State != unreadable {
		t.Errorf("history = %s, now %+v; want %s", got, h.Now, want)
	}
}

// A producer sees its own call's records and events and is told what is left out;
// of another one's it sees nothing.
func TestHistoryWithAProducersRights(t *testing.T) {
	b := newBusWith(t, producersApart, nats.UserInfo("worker", "w"))
	b.createRegistry()
	b.createDead()
	b.life()
	crm := b.producerClient("crm")
	for range 2 {
		h, err := crm.History(within(t, 30*time.Second), callA, HistoryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ownPart, story(h)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		if want := []string{"dead letters", "the queue", "the registry"}; !cmp.Equal(h.Hidden, want) || h.Now != nil {
			t.Errorf("hidden = %q, now = %v; want %q", h.Hidden, h.Now, want)
		}
	}
	_, err := crm.History(within(t, 30*time.Second), commands.CallKey{Producer: "shop", CallRef: "a"}, HistoryOptions{})
	if err == nil || !strings.Contains(err.Error(), "not permitted to read CALL_RESULTS") {
		t.Errorf("history of another producer's call = %v; want it refused", err)
	}
}

// A producer whose own consumer has its name cannot read a history, and is told
// so; an operator can.
func TestHistoryBesideTheProducersConsumer(t *testing.T) {
	b := newBusWith(t, producersApart, nats.UserInfo("worker", "w"))
	b.createRegistry()
	b.createDead()
	b.life()
	own := jetstream.ConsumerConfig{Durable: "crm", FilterSubject: "calls.results.crm.>", AckPolicy: jetstream.AckExplicitPolicy}
	if _, err := b.js.CreateConsumer(t.Context(), "CALL_RESULTS", own); err != nil {
		t.Fatal(err)
	}
	h, err := b.client.History(t.Context(), callA, HistoryOptions{})
	if diff := cmp.Diff(allOf, story(h)); err != nil || diff != "" {
		t.Errorf("history with all rights: %v (-want +got):\n%s", err, diff)
	}
	_, err = b.producerClient("crm").History(within(t, 30*time.Second), callA, HistoryOptions{})
	if want := "another reader has the name crm on CALL_RESULTS"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("history with the producer's rights = %v; want %q", err, want)
	}
	if c, err := b.js.Consumer(t.Context(), "CALL_RESULTS", "crm"); err != nil || c.CachedInfo().NumPending == 0 || c.CachedInfo().Config.FilterSubject != own.FilterSubject {
		t.Errorf("the producer's consumer has changed: %v", err)
	}
}

func TestWhoMayHearAnswers(t *testing.T) {
	b := newBusWith(t, func(o *server.Options) {
		producersApart(o)
		o.Users = append(o.Users, &server.User{Username: "operator", Password: "o", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}})
	}, nats.UserInfo("worker", "w"))
	for _, tt := range []struct {
		user, inbox string
		want        bool
	}{{"crm", "_INBOX_crm", true}, {"crm", "_INBOX", false}, {"operator", "_INBOX_crm", false}, {"operator", "_INBOX", true}, {"worker", "_INBOX_crm", true}} {
		password := map[string]string{"crm": "crm", "operator": "o", "worker": "w"}[tt.user]
		c := b.newClient(b.connect(nats.UserInfo(tt.user, password), nats.CustomInboxPrefix(tt.inbox)))
		if got, err := c.MayHear(); err != nil || got != tt.want {
			t.Errorf("MayHear() of %s on %s = %t, %v; want %t", tt.user, tt.inbox, got, err, tt.want)
		}
	}
}

func TestLiveCalls(t *testing.T) {
	b := newRegistryBus(t)
	b.register("crm.up", `{"callId":"id-1","tenantId":"`+contoso+`","state":"established","placeId":"p","acceptedAt":"2026-11-23T10:00:00Z","establishedAt":"2026-11-23T10:00:05Z","keepAlive":true,"open":[{"id":"x","action":"playPrompt"},{"id":"y","action":"playPrompt","settled":true}]}`)
	b.register("crm.rings", `{"callId":"id-2","tenantId":"`+fabrikam+`","state":"establishing","placeId":"p","acceptedAt":"2026-11-23T10:00:00Z","hangupReason":"hungUp"}`)
	b.register("crm.over", `{"callId":"id-3","state":"terminated","endedAt":"2026-11-23T10:00:00Z"}`)
	b.register("crm.wanted", `{"placeId":"p","hangupWanted":true}`)
	b.register("erp.broken", `nonsense`)
	b.register("_incoming.id4", `{"callId":"id-4","state":"incoming","respondBy":"2026-11-23T10:00:15Z"}`)
	b.register("_id.id1", `{"Producer":"crm","CallRef":"up"}`)
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	up := LiveCall{Producer: "crm", CallRef: "up", State: "established", CallID: "id-1", TenantID: contoso, PlaceID: "p", AcceptedAt: at, EstablishedAt: at.Add(5 * time.Second), KeepAlive: true, Open: []OpenCommand{{"x", commands.PlayPrompt}}}
	rings := LiveCall{Producer: "crm", CallRef: "rings", State: "establishing", CallID: "id-2", TenantID: fabrikam, PlaceID: "p", AcceptedAt: at, Hangup: "hungUp"}
	broken := LiveCall{Producer: "erp", CallRef: "broken", State: unreadable}
	incoming := LiveCall{Producer: "_incoming", CallRef: "id4", State: "incoming", CallID: "id-4", RespondBy: at.Add(15 * time.Second)}
	tests := []struct {
		name string
		f    StopFilter
		want []LiveCall
	}{
		{"all", StopFilter{}, []LiveCall{incoming, rings, up, broken}},
		{"of a producer", StopFilter{Producer: "crm"}, []LiveCall{rings, up}},
		{"that came in", StopFilter{Producer: "_incoming"}, []LiveCall{incoming}},
		{"that are not of another tenant", StopFilter{Tenant: strings.ToUpper(contoso)}, []LiveCall{incoming, up, broken}},
		{"of a producer without any", StopFilter{Producer: "shop"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := b.client.LiveCalls(t.Context(), tt.f)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("LiveCalls() = %v (-want +got):\n%s", err, diff)
			}
		})
	}
	if since := up.Since(); !since.Equal(up.EstablishedAt) || !rings.Since().Equal(rings.AcceptedAt) || !incoming.Since().IsZero() {
		t.Errorf("since %v, %v, %v; want established, accepted, nothing", since, rings.Since(), incoming.Since())
	}
	if text, err := json.Marshal(incoming); err != nil || string(text) != `{"producer":"_incoming","callRef":"id4","state":"incoming","callId":"id-4","respondBy":"2026-11-23T10:00:15Z"}` {
		t.Errorf("JSON of a call = %s, %v; want nothing that is not there", text, err)
	}
}
