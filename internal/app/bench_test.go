package app

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/graphsim"
	"callbus/internal/producer"
)

// BenchmarkCommand measures one command from publishing to its stored outcome:
// NATS with file storage, one worker and the simulated Graph in this process.
// A read costs one journal record, a mute two.
func BenchmarkCommand(b *testing.B) {
	for _, action := range []commands.Action{commands.GetCall, commands.Mute} {
		b.Run(string(action)+"/one after the other", func(b *testing.B) {
			client, calls := benchStack(b, 1)
			n := 0
			for b.Loop() {
				execute(b, client, calls[0], action, &n)
			}
		})
		b.Run(string(action)+"/32 calls at once", func(b *testing.B) {
			client, calls := benchStack(b, 32)
			var next atomic.Int64
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				call, n := calls[int(next.Add(1)-1)%len(calls)], 0
				for pb.Next() {
					execute(b, client, call, action, &n)
				}
			})
		})
	}
}

// benchStack places calls and returns a producer and their names.
func benchStack(b *testing.B, n int) (*producer.Client, []commands.CallKey) {
	b.Helper()
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(srv.Close)
	sim := startSim(b, graphsim.Options{AnswerAfter: time.Millisecond})
	startWorker(b, "bench", srv.URL(), sim, nil)
	client, err := producer.New(connect(b, srv.URL()).Conn(), commands.DefaultPrefix)
	if err != nil {
		b.Fatal(err)
	}
	calls := make([]commands.CallKey, n)
	for i := range calls {
		calls[i] = commands.CallKey{Producer: "bench", CallRef: fmt.Sprintf("call-%d", i)}
		m := producer.Message{Call: calls[i], Action: commands.Place, Body: body("p", toGroup, nil)}
		if r, err := client.SendAndWait(b.Context(), m, producer.UntilFinal, nil, nil); err != nil || r.Status != commands.Succeeded {
			b.Fatalf("place = %+v, %v", r, err)
		}
	}
	return client, calls
}

func execute(b *testing.B, client *producer.Client, call commands.CallKey, a commands.Action, n *int) {
	*n++
	m := producer.Message{Call: call, Action: a, Body: body(fmt.Sprintf("c%d", *n), "", nil)}
	if r, err := client.SendAndWait(b.Context(), m, producer.UntilFinal, nil, nil); err != nil || r.Status != commands.Succeeded {
		b.Errorf("%s = %+v, %v", a, r, err)
	}
}
