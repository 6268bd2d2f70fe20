package calls

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
)

// watchable is a JetStream whose buckets can only be watched, each time
// otherwise.
type watchable struct {
	jetstream.JetStream
	watches []func() (jetstream.KeyWatcher, error)
}

func (w *watchable) KeyValue(context.Context, string) (jetstream.KeyValue, error) {
	return watchedBucket{w: w}, nil
}

type watchedBucket struct {
	jetstream.KeyValue
	w *watchable
}

func (b watchedBucket) WatchAll(context.Context, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	next := b.w.watches[0]
	b.w.watches = b.w.watches[1:]
	return next()
}

// watch is a watch that brings some entries and then stays or ends.
type watch struct{ updates chan jetstream.KeyValueEntry }

func (w *watch) Updates() <-chan jetstream.KeyValueEntry { return w.updates }
func (w *watch) Stop() error                             { return nil }
func (w *watch) Error() <-chan error                     { return nil }

func brings(end bool, entries ...jetstream.KeyValueEntry) func() (jetstream.KeyWatcher, error) {
	return func() (jetstream.KeyWatcher, error) {
		w := &watch{make(chan jetstream.KeyValueEntry, len(entries))}
		for _, e := range entries {
			w.updates <- e
		}
		if end {
			close(w.updates)
		}
		return w, nil
	}
}

type entry struct {
	jetstream.KeyValueEntry
	key, value string
}

func (e entry) Key() string   { return e.key }
func (e entry) Value() []byte { return []byte(e.value) }

func TestWatchLiveBeginsAgainWhenTheWatchEnds(t *testing.T) {
	established := `{"callId":"c","state":"established"}`
	allRead := jetstream.KeyValueEntry(nil)
	synctest.Test(t, func(t *testing.T) {
		js := &watchable{watches: []func() (jetstream.KeyWatcher, error){
			func() (jetstream.KeyWatcher, error) { return nil, context.DeadlineExceeded },
			// Ends with two calls, then before everything is read, and goes on
			// when one of them has gone.
			brings(true, entry{key: "crm.a", value: established}, entry{key: "crm.b", value: established}, allRead),
			brings(true, entry{key: "crm.b", value: established}),
			func() (jetstream.KeyWatcher, error) { return nil, errors.New("no responders") },
			brings(false, entry{key: "crm.b", value: established}, allRead),
		}}
		ctx, stop := context.WithCancel(t.Context())
		var last map[string]int
		told := 0 // since the last watch has begun; the first time, it may not be read yet
		err := (&Registry{js: js}).WatchLive(ctx, func(counts map[string]int) {
			last = counts
			if len(js.watches) > 0 {
				return
			}
			if told++; told == 2 {
				stop()
			}
		})
		if err != nil || len(js.watches) != 0 {
			t.Errorf("WatchLive() = %v with %d watches left; want nil after all", err, len(js.watches))
		}
		if diff := cmp.Diff(map[string]int{"established": 1}, last); diff != "" {
			t.Errorf("counted after the last one (-want +got):\n%s", diff)
		}
	})
}
