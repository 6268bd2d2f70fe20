package app

import (
	"context"

	"callbus/internal/streams"
)

// watchStreams keeps the gauges of what streams and buckets hold, and of what
// waits to be folded or fired.
func (w *Worker) watchStreams(ctx context.Context) error {
	prefix := w.opts.Streams.Prefix
	names := map[string]string{
		streams.Registry: "KV_" + prefix.Registry(),
		streams.Gates:    "KV_" + prefix.Stream(streams.Gates),
	}
	for _, name := range []string{streams.Commands, streams.Results, streams.Events, streams.Dead, streams.Timers} {
		names[name] = prefix.Stream(name)
	}
	for {
		for label, name := range names {
			s, err := w.js.Stream(ctx, name)
			if err != nil {
				continue // NATS is away, or the stream: both are told elsewhere
			}
			info := s.CachedInfo()
			w.metrics.StreamSize(label, info.State.Bytes, info.Config.MaxBytes)
		}
		for _, c := range []struct{ stream, name string }{{streams.Events, streams.FoldConsumer}, {streams.Timers, streams.DueConsumer}} {
			cons, err := w.js.Consumer(ctx, prefix.Stream(c.stream), c.name)
			if err != nil {
				continue
			}
			info := cons.CachedInfo()
			w.metrics.ConsumerPending(c.name, int(info.NumPending)+info.NumAckPending)
		}
		if !sleep(ctx, backlogEvery) {
			return nil
		}
	}
}
