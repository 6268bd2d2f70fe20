package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
)

const tenant = "aaaabbbb-0000-cccc-1111-dddd2222eeee"

// withCalls makes the registry with two calls, and queues a place of a third.
func (b *bus) withCalls() *bus {
	b.t.Helper()
	if _, err := b.js.CreateKeyValue(b.t.Context(), jetstream.KeyValueConfig{Bucket: "CALLS"}); err != nil {
		b.t.Fatal(err)
	}
	for subject, body := range map[string]string{
		"$KV.CALLS.crm.order-1":             `{"callId":"id-1","tenantId":"` + tenant + `","state":"established"}`,
		"$KV.CALLS.erp.order-2":             `{"callId":"id-2","state":"establishing"}`,
		"$KV.CALLS.erp.order-0":             `{"callId":"id-0","state":"terminated","endedAt":"2026-11-23T10:00:00Z"}`,
		"calls.commands.crm.reminder.place": `{"id":"p"}`,
	} {
		if _, err := b.js.Publish(b.t.Context(), subject, []byte(body)); err != nil {
			b.t.Fatal(err)
		}
	}
	return b
}

// workOnHangups is work that leaves places in the queue, each until the hang-up
// of its call takes it out.
func (b *bus) workOnHangups(result commands.Result) *bus {
	b.t.Helper()
	queue, err := b.js.Stream(b.t.Context(), "CALL_COMMANDS")
	if err != nil {
		b.t.Fatal(err)
	}
	return b.workOn([]string{"calls.commands.*.*.hangup"}, func(commands.Action, string) []commands.Result {
		if err := queue.Purge(context.Background(), jetstream.WithPurgeSubject("calls.commands.crm.reminder.place")); err != nil {
			b.t.Error(err)
		}
		return []commands.Result{result}
	})
}

// stopID is what is different every time.
var stopID = regexp.MustCompile(`stop-[0-9A-Z]{26}|[0-9.]+m?s\b`)

func steady(text string) string { return stopID.ReplaceAllString(text, "X") }

func TestHangupAll(t *testing.T) {
	started := commands.Result{Status: commands.Started}
	tests := []struct {
		name   string
		result commands.Result
		args   []string
		want   ran
	}{
		{"hangs up what lives and what waits, of all producers", succeeded, nil, ran{0,
			"X: 3 calls of 2 producers, in X\n  hung up       3\n", "publisher: X: hanging up 3 calls of 2 producers\n"}},
		{"of one producer", succeeded, []string{"--producer", "erp"}, ran{0,
			"X: 1 call of 1 producer, in X\n  hung up       1\n",
			"publisher: only calls of producer erp (--producer)\npublisher: X: hanging up 1 call of 1 producer\n"}},
		{"of all producers, in so many words", succeeded, []string{"--producer", "*", "--tenant", "another.example"}, ran{0,
			"X: 2 calls of 2 producers, the tenant of 2 not known, in X\n  hung up       2\n",
			"publisher: only calls of tenant another.example, or of none that is known (--tenant)\npublisher: X: hanging up 2 calls of 2 producers, the tenant of 2 not known\n"}},
		{"of a producer without calls", succeeded, []string{"--producer", "nobody"}, ran{0,
			"no calls found\n", "publisher: only calls of producer nobody (--producer)\n"}},
		{"in JSON", succeeded, []string{"--producer", "crm", "--tenant", strings.ToUpper(tenant), "-o", "json"}, ran{0,
			`{"producer":"crm","callRef":"order-1","callId":"id-1","tenantId":"` + tenant + `","state":"established","id":"X-1","ending":"hungUp","result":{…}}
{"producer":"crm","callRef":"reminder","queued":true,"id":"X-1","ending":"hungUp","result":{…}}
{"summary":{"id":"X","found":2,"producers":1,"tenantNotKnown":1,"endings":{"alreadyOver":0,"failed":0,"hungUp":2,"neverPlaced":0,"noOutcome":0,"notStored":0,"unknown":0},"elapsedMs":0}}
`,
			"publisher: only calls of producer crm (--producer)\npublisher: only calls of tenant " + strings.ToUpper(tenant) + ", or of none that is known (--tenant)\n" +
				"publisher: X: hanging up 2 calls of 1 producer, the tenant of 1 not known\n"}},
		{"fails", busy, []string{"--producer", "erp"}, ran{3,
			"X: 1 call of 1 producer, in X\n  failed        1\n",
			"publisher: only calls of producer erp (--producer)\npublisher: X: hanging up 1 call of 1 producer\nerp.order-2 failed: id X-1 busy 486 the callee is busy → try later\n"}},
		{"has no outcome", started, []string{"--producer", "erp", "--timeout", "1500ms"}, ran{4,
			"X: 1 call of 1 producer, in X\n  no outcome    1\n",
			"publisher: only calls of producer erp (--producer)\npublisher: X: hanging up 1 call of 1 producer\nerp.order-2 no outcome: id X-1\n"}},
		{"is only shown", succeeded, []string{"--dry-run"}, ran{0,
			"crm.order-1              established  call id-1 tenant " + tenant + "\ncrm.reminder             queued\nerp.order-2              establishing call id-2\n" +
				"3 calls of 2 producers would be hung up\n", ""}},
		{"is only shown, in JSON", succeeded, []string{"--dry-run", "--producer", "erp", "-o", "json"}, ran{0,
			`{"producer":"erp","callRef":"order-2","callId":"id-2","state":"establishing"}` + "\n" + `{"summary":{"found":1,"producers":1,"elapsedMs":0}}` + "\n",
			"publisher: only calls of producer erp (--producer)\n"}},
	}
	result, elapsed := regexp.MustCompile(`"result":\{.*?\}`), regexp.MustCompile(`"elapsedMs":\d+`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t).withStreams(0).withCalls().workOnHangups(tt.result)
			got := b.run("", with([]string{"hangup", "--all"}, tt.args...)...)
			got.out = elapsed.ReplaceAllString(result.ReplaceAllString(steady(got.out), `"result":{…}`), `"elapsedMs":0`)
			got.err = steady(got.err)
			if strings.HasPrefix(got.out, "{") && tt.result.Status == commands.Succeeded {
				got.out = sortedLines(got.out)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ran{})); diff != "" {
				t.Errorf("publisher hangup --all %q (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

// sortedLines puts the lines about calls in order; they come as they end.
func sortedLines(text string) string {
	lines := strings.SplitAfter(text, "\n")
	if len(lines) == 4 && lines[0] > lines[1] {
		lines[0], lines[1] = lines[1], lines[0]
	}
	return strings.Join(lines, "")
}

func TestHangupAllIsFoundByItsID(t *testing.T) {
	b := newBus(t).withStreams(0).withCalls()
	got := b.run("", "hangup", "--all", "--timeout", "700ms")
	id := regexp.MustCompile(`stop-[0-9A-Z]{26}`).FindString(got.out)
	subjects, bodies := b.queued()
	var hangups []string
	for i, subject := range subjects {
		if strings.HasSuffix(subject, ".hangup") {
			hangups = append(hangups, subject)
			if diff := cmp.Diff(map[string]any{"id": id + "-1"}, bodies[i]); id == "" || diff != "" {
				t.Errorf("body of %s (-want +got):\n%s", subject, diff)
			}
		}
	}
	if want := []string{"crm.order-1.hangup", "crm.reminder.hangup", "erp.order-2.hangup"}; !cmp.Equal(want, slices.Sorted(slices.Values(hangups))) {
		t.Errorf("published %q; want %q", hangups, want)
	}
	if got.code != exitNoOutcome {
		t.Errorf("publisher = %d without a worker; want 4", got.code)
	}
}

func TestHangupAllAndTheEnvironment(t *testing.T) {
	b := newBus(t).withStreams(0).withCalls().workOnHangups(succeeded)
	for name, value := range map[string]string{
		"CALLBUS_ALL": "true", "CALLBUS_DRY_RUN": "true", "CALLBUS_WAIT": "accepted", "CALLBUS_ID": "mine", "CALLBUS_TTL": "1s", "CALLBUS_CALLREF": "x",
	} {
		t.Setenv(name, value)
	}
	if got := b.run("", "hangup"); got.code != exitUsage || !strings.Contains(got.err, "CALLREF is missing") {
		t.Errorf("publisher hangup with CALLBUS_ALL = %+v; want that it takes more than a variable", got)
	}
	t.Setenv("CALLBUS_PRODUCER", "crm")
	got := b.run("", "hangup", "--all")
	if want := "publisher: only calls of producer crm (CALLBUS_PRODUCER)\npublisher: X: hanging up 2 calls of 1 producer\n"; got.code != 0 || steady(got.err) != want {
		t.Errorf("publisher hangup --all = %d, says %q; want 0 and %q", got.code, steady(got.err), want)
	}
	got = b.run("", "hangup", "--all", "--producer", "erp")
	if want := "publisher: only calls of producer erp (--producer)\npublisher: X: hanging up 1 call of 1 producer\n"; got.code != 0 || steady(got.err) != want {
		t.Errorf("publisher hangup --all --producer erp = %d, says %q; want 0 and %q", got.code, steady(got.err), want)
	}
	t.Setenv("CALLBUS_TENANT", tenant+",contoso.example") // as workers write it
	if got := b.run("", "hangup", "--all"); got.code != exitUsage || !strings.Contains(got.err, "--tenant: tenantId") {
		t.Errorf("publisher hangup --all with two tenants = %+v; want a usage error", got)
	}
}

func TestInterruptedHangupAll(t *testing.T) {
	b := newBus(t).withStreams(0).withCalls()
	ctx, cancel := context.WithCancel(t.Context())
	errs := &lines{want: 1, enough: cancel} // "hanging up 3 calls"
	var out lockedBuffer
	code := exitCode(run(ctx, []string{"--nats-url", b.server.ClientURL(), "hangup", "--all"}, stdio{strings.NewReader(""), &out, errs}), errs)
	if code != exitNotStored || !strings.Contains(out.String(), "not published 3") {
		t.Errorf("publisher = %d, %q; want 1, and that nothing was published", code, out.String())
	}
}

func TestHangupAllWithoutRegistry(t *testing.T) {
	b := newBus(t).withStreams(0)
	began := time.Now()
	got := b.run("", "hangup", "--all")
	if want := "publisher: there is no bucket CALLS: create it first (worker provision)\n"; got.code != exitNotStored || got.err != want || got.out != "" {
		t.Errorf("publisher = %+v; want 1 and %q", got, want)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("publisher says so after %s; want at once", took)
	}
}
