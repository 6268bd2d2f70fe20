package calls

import (
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// decodeAll reads every message of a stream on the subject.
func decodeAll[T any](r *room, stream, subject string) []T {
	r.t.Helper()
	s, err := r.js.Stream(r.ctx, r.prefix.Stream(stream))
	if err != nil {
		r.t.Fatal(err)
	}
	var all []T
	for seq := uint64(1); ; {
		msg, err := s.GetMsg(r.ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		if err != nil {
			r.t.Fatal(err)
		}
		var v T
		if err := json.Unmarshal(msg.Data, &v); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, v)
		seq = msg.Sequence + 1
	}
}
