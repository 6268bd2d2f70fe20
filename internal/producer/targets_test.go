package producer

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	contoso  = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	fabrikam = "bbbbcccc-1111-dddd-2222-eeee3333ffff"
)

// newRegistryBus is a bus with the registry's bucket.
func newRegistryBus(t *testing.T) *bus {
	t.Helper()
	b := newBus(t)
	b.createRegistry()
	return b
}

func (b *bus) createRegistry() {
	b.t.Helper()
	if _, err := b.js.CreateKeyValue(b.t.Context(), jetstream.KeyValueConfig{Bucket: "CALLS", LimitMarkerTTL: time.Hour}); err != nil {
		b.t.Fatal(err)
	}
}

// register writes a key of the registry as it is.
func (b *bus) register(key, value string) {
	b.t.Helper()
	if _, err := b.js.Publish(b.t.Context(), "$KV.CALLS."+key, []byte(value)); err != nil {
		b.t.Fatal(err)
	}
}

// live is the registry's entry of a live call.
func live(callID, tenant string) string {
	entry, _ := json.Marshal(map[string]any{"callId": callID, "tenantId": tenant, "state": "established", "placeId": "p", "open": []any{}})
	return string(entry)
}

// queue publishes a place for a call.
func (b *bus) queue(producer, callRef, body string) {
	b.t.Helper()
	call := commands.CallKey{Producer: producer, CallRef: callRef}
	if _, err := b.js.Publish(b.t.Context(), commands.DefaultPrefix.Command(call, commands.Place), []byte(body)); err != nil {
		b.t.Fatal(err)
	}
}

func TestTargets(t *testing.T) {
	b := newRegistryBus(t)
	b.register("crm.live", live("id-1", contoso))
	b.register("crm.live-elsewhere", live("id-2", fabrikam))
	b.register("crm.live-somewhere", live("id-3", ""))
	b.register("crm.hanging-up", `{"callId":"id-4","tenantId":"`+contoso+`","state":"terminating","hangupWanted":true,"later":{"added":1}}`)
	b.register("erp.both", live("id-5", contoso))
	b.register("crm.over", `{"callId":"id-6","state":"terminated","endedAt":"2026-11-23T10:00:00Z"}`)
	b.register("crm.only-wanted", `{"placeId":"p","hangupWanted":true}`)
	b.register("crm.broken", `{"callId":7}`)
	b.register("_incoming.id-7", live("id-7", contoso))
	b.register("_id.id-1", `{"Producer":"crm","CallRef":"live"}`)
	b.register("crm.expired", live("id-8", contoso))
	if kv, err := b.js.KeyValue(t.Context(), "CALLS"); err != nil || kv.Delete(t.Context(), "crm.expired") != nil {
		t.Fatal(err)
	}
	b.queue("erp", "both", `{"id":"p","tenantId":"`+contoso+`"}`)
	b.queue("erp", "queued", `{"id":"p"}`)
	b.queue("erp", "queued-elsewhere", `{"id":"p","tenantId":"`+fabrikam+`"}`)
	b.queue("erp", "queued-by-parameters", `{"id":"p","parameters":{"tenantId":"`+strings.ToUpper(contoso)+`"}}`)
	b.queue("erp", "queued-twice", `{"id":"p","tenantId":"`+fabrikam+`"}`)
	b.queue("erp", "queued-twice", `{"id":"q","tenantId":"`+contoso+`"}`)
	b.queue("erp", "queued-unreadable", `nonsense`)
	b.queue("_incoming", "no-producer", `{"id":"p"}`)
	if _, err := b.js.Publish(t.Context(), "calls.commands.crm.over.mute", []byte(`{"id":"m"}`)); err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name   string
		filter StopFilter
		want   []string
	}{
		{"everything that lives or waits to be placed", StopFilter{}, []string{
			"crm.broken unreadable", "crm.hanging-up terminating id-4 contoso", "crm.live established id-1 contoso",
			"crm.live-elsewhere established id-2 fabrikam", "crm.live-somewhere established id-3",
			"erp.both queued established id-5 contoso", "erp.queued queued", "erp.queued-by-parameters queued",
			"erp.queued-elsewhere queued", "erp.queued-twice queued", "erp.queued-unreadable queued"}},
		{"of one producer", StopFilter{Producer: "erp"}, []string{
			"erp.both queued established id-5 contoso", "erp.queued queued", "erp.queued-by-parameters queued",
			"erp.queued-elsewhere queued", "erp.queued-twice queued", "erp.queued-unreadable queued"}},
		{"of one tenant, and what may be of it", StopFilter{Producer: Everyone, Tenant: contoso}, []string{
			"crm.broken unreadable", "crm.hanging-up terminating id-4 contoso", "crm.live established id-1 contoso",
			"crm.live-somewhere established id-3",
			"erp.both queued established id-5 contoso", "erp.queued queued", "erp.queued-by-parameters queued contoso",
			"erp.queued-twice queued contoso", "erp.queued-unreadable queued"}},
		{"of a producer without calls", StopFilter{Producer: "nobody"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			targets, err := b.client.Targets(t.Context(), tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, target := range targets {
				got = append(got, describe(target))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Targets() (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := b.client.Targets(t.Context(), StopFilter{Producer: "a.b"}); err == nil || !strings.Contains(err.Error(), "producer has other characters") {
		t.Errorf("Targets() of a.b = %v; want what is wrong with the producer", err)
	}
}

func describe(t Target) string {
	words := []string{t.Call.String()}
	if t.Queued {
		words = append(words, "queued")
	}
	for _, word := range []string{t.State, t.CallID, map[string]string{contoso: "contoso", fabrikam: "fabrikam"}[strings.ToLower(t.TenantID)]} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func TestTargetsOfABusThatIsNotThere(t *testing.T) {
	b := newServer(t, nil)
	for _, want := range []string{"there is no stream CALL_COMMANDS: create it first", "there is no bucket CALLS: create it first"} {
		if _, err := b.client.Targets(within(t, 5*time.Second), StopFilter{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Targets() = %v; want %s", err, want)
		}
		if want[12:18] == "stream" {
			b.createStreams(0)
		}
	}
}

func TestTargetsNeedAnOperatorsRights(t *testing.T) {
	b := newBusWith(t, func(o *server.Options) {
		all := &server.Permissions{}
		crm := &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"calls.commands.crm.*.*"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_crm.>"}},
		}
		o.Users = []*server.User{{Username: "worker", Password: "w", Permissions: all}, {Username: "crm", Password: "c", Permissions: crm}}
	}, nats.UserInfo("worker", "w"))
	b.createRegistry()
	client := b.newClient(b.connect(nats.UserInfo("crm", "c"), nats.CustomInboxPrefix("_INBOX_crm")))
	began := time.Now()
	_, err := client.Targets(within(t, 20*time.Second), StopFilter{Producer: "crm"})
	if err == nil || !strings.Contains(err.Error(), "an operator's rights are needed") || !strings.Contains(err.Error(), "$JS.API.STREAM.INFO.CALL_COMMANDS") {
		t.Errorf("Targets() = %v; want that rights are missing, and which", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Targets() says so after %s; want at once, not after a timeout", took)
	}
}
