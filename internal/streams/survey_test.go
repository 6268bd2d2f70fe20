package streams

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

func TestLook(t *testing.T) {
	t.Parallel()
	js := dial(t, serverURL)
	o := DefaultOptions()
	o.Prefix, o.CommandsMaxBytes = commands.Prefix(fmt.Sprintf("survey%d", names.Add(1))), 1<<20
	look := func() Survey {
		t.Helper()
		s, err := Look(t.Context(), js, o, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := look(); len(s.Streams)+len(s.Readers) > 0 {
		t.Errorf("Look() before anything is made = %+v; want nothing", s)
	}
	if _, err := Provision(t.Context(), js, o, ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	call := commands.CallKey{Producer: "crm", CallRef: "order-1"}
	if _, err := js.Publish(t.Context(), o.Prefix.Command(call, commands.Place), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s := look()
	if got, want := len(s.Streams), len(o.streams())+len(o.buckets()); got != want {
		t.Errorf("%d streams and buckets; want %d", got, want)
	}
	if d := s.Clock.Server.Sub(s.Clock.Before); d < 0 || s.Clock.Server.After(s.Clock.After) {
		t.Errorf("the server's clock = %+v; want it between ours, which is the same", s.Clock)
	}
	for _, st := range s.Streams {
		switch st.Name {
		case Commands:
			left, limited := st.Left()
			if st.Messages != 1 || st.Full != o.Prefix.Stream(Commands) || !limited || left >= 1<<20 || st.Oldest.IsZero() || st.WhenFull == "" || st.Remedy == "" {
				t.Errorf("queue = %+v; want one message and what is left of 1 MiB", st)
			}
		case Rate:
			if !st.InMemory || st.WhenFull != "" {
				t.Errorf("tokens of the rate = %+v; want them in memory and never refused", st)
			}
		default:
			if _, limited := st.Left(); limited || st.Replicas != 1 || st.NoLeader || len(st.Behind) > 0 || !st.Oldest.IsZero() {
				t.Errorf("%s = %+v; want it empty, without a limit, on one server", st.Full, st)
			}
		}
	}
	want := map[string]int{"urgent": 0, "control": 0, "place": 1, FoldConsumer: 0, DueConsumer: 0}
	for _, r := range s.Readers {
		if waiting, ours := want[r.Name]; !ours || r.Waiting != waiting || r.InHand != 0 || r.Asking != 0 {
			t.Errorf("reader = %+v; want %d messages that nobody asks for", r, waiting)
		}
		delete(want, r.Name)
	}
	if len(want) > 0 {
		t.Errorf("no readers %v", want)
	}
}

func TestAReplicaThatIsBehindIsNamed(t *testing.T) {
	info := &jetstream.StreamInfo{Cluster: &jetstream.ClusterInfo{Replicas: []*jetstream.PeerInfo{
		{Name: "n2", Current: true}, {Name: "n3", Offline: true}, {Name: "n4"},
	}}}
	if s := standing(holder{}, info); !s.NoLeader || len(s.Behind) != 2 || s.Behind[0] != "n3" || s.Behind[1] != "n4" {
		t.Errorf("standing = %+v; want no leader, and n3 and n4 behind", s)
	}
}
