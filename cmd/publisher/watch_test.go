package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/producer"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

func TestWatchPrintsWhatComes(t *testing.T) {
	b := newBus(t).withStreams(0)
	b.record(commands.Result{Producer: "cli", CallRef: "a", CommandID: "p1", Action: commands.Place, Status: commands.Succeeded, CallID: "57DA"})
	b.record(commands.Result{Producer: "cli", CallRef: "a", CommandID: "p2", Action: commands.Place, Status: commands.Started})
	talk := int64(61_000)
	event := commands.Event{Producer: "cli", CallRef: "a", Kind: commands.KindEnded, Time: time.Date(2026, 11, 23, 10, 1, 0, 0, time.UTC),
		State: "terminated", Reason: "ended", ResultInfo: &commands.ResultInfo{Code: 200, Subcode: 7000, Message: "bye"}, TalkMS: &talk}
	body, _ := json.Marshal(event)
	if _, err := b.js.Publish(t.Context(), "calls.events.cli.a.ended", body); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"final results", []string{"watch", "--final"}, []string{"2026-11-23T10:00:00.000Z cli.a                    place        succeeded  p1 call 57DA"}},
		{"events of one kind", []string{"watch", "a", "--kind", "ended"}, []string{"2026-11-23T10:01:00.000Z cli.a                    ·ended       terminated ended 200/7000 bye talked 1m1s"}},
		{"everyone's, as stored", []string{"watch", "--producer", "*", "--kind", "event", "-o", "json"}, []string{string(body)}},
		{"both", []string{"watch", "--producer", "*", "--final", "--kind", "ended"}, []string{
			"2026-11-23T10:00:00.000Z cli.a                    place        succeeded  p1 call 57DA",
			"2026-11-23T10:01:00.000Z cli.a                    ·ended       terminated ended 200/7000 bye talked 1m1s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			out := &lines{want: len(tt.want), enough: cancel}
			var errs lockedBuffer
			ended := make(chan error, 1)
			args := append([]string{"--nats-url", b.server.ClientURL()}, tt.args...)
			args = append(args, "--since", "1h")
			go func() { ended <- run(ctx, args, stdio{strings.NewReader(""), out, &errs}) }()
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("publisher %q = %v; want a clean end", tt.args, err)
				}
			case <-deadline():
				cancel()
				t.Fatalf("publisher %q prints %v; want %d lines (%s)", tt.args, out.got(), len(tt.want), errs.String())
			}
			got := out.got()
			if len(tt.want) == 2 && strings.Contains(got[0], "·") {
				got[0], got[1] = got[1], got[0] // two streams, in no order among them
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("publisher %q (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

func TestKindsChooseWhatIsWatched(t *testing.T) {
	tests := []struct {
		name            string
		cmd             watchCmd
		results, events bool
		kinds           int
	}{
		{"nothing said", watchCmd{}, true, true, 0},
		{"results", watchCmd{Kind: []string{"result"}}, true, false, 0},
		{"events", watchCmd{Kind: []string{"event"}}, false, true, 0},
		{"two kinds of events", watchCmd{Kind: []string{"ended", "state"}}, false, true, 2},
		{"all events beat one kind", watchCmd{Kind: []string{"ended", "event"}}, false, true, 0},
		{"a status", watchCmd{Status: []string{"failed"}}, true, false, 0},
		{"final ones and a kind of events", watchCmd{Final: true, Kind: []string{"ended"}}, true, true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := tt.cmd.filter(producer.Everyone)
			if err != nil || f.Results != tt.results || f.Events != tt.events || len(f.Kinds) != tt.kinds {
				t.Errorf("filter() = %+v, %v; want results %t, events %t, %d kinds", f, err, tt.results, tt.events, tt.kinds)
			}
		})
	}
}

// lines ends the program when enough of them are printed.
type lines struct {
	lockedBuffer
	want   int
	enough func()
}

func (l *lines) Write(p []byte) (int, error) {
	n, err := l.lockedBuffer.Write(p)
	if len(l.got()) >= l.want {
		l.enough()
	}
	return n, err
}

func (l *lines) got() []string {
	text := strings.TrimSpace(l.String())
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// parse reads a command line and runs nothing.
func parse(t *testing.T, flags *cli, args ...string) error {
	t.Helper()
	parser, err := kong.New(flags, kong.Name("publisher"), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return err
}
