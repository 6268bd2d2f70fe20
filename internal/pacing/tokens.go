package pacing

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Tokens are counted in quarter seconds: a counter on the server for each, which
// every worker adds to. What comes back is the number of the last token taken,
// and each number is a moment within the quarter second, so that all workers
// together send evenly, at exactly the rate, without knowing of each other.
const quarter = 250 * time.Millisecond

// tokenWithin bounds a request for tokens; then a worker goes by its own share.
const tokenWithin = 500 * time.Millisecond

// tokensOf is how many tokens the quarter second k has at a rate. Fractions are
// carried along.
func tokensOf(rate float64, k int64) int {
	per := rate * quarter.Seconds()
	// k is large; its remainder keeps the product exact enough.
	n := float64(k % 1_000_000)
	return int(math.Floor(per*(n+1)) - math.Floor(per*n))
}

func quarterOf(t time.Time) int64 { return t.UnixNano() / int64(quarter) }

func quarterAt(k int64) time.Time { return time.Unix(0, k*int64(quarter)) }

// take adds n to the counter of a scope and quarter second and returns the
// number of the last token that is ours.
func (p *Pacer) take(ctx context.Context, scope string, k int64, n int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenWithin)
	defer cancel()
	ack, err := p.js.PublishMsg(ctx, p.asking(scope, k, n), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	last, err := strconv.Atoi(ack.Value)
	if err != nil {
		return 0, fmt.Errorf("count tokens: the server's value %q is no number", ack.Value)
	}
	return last, nil
}

func (p *Pacer) asking(scope string, k int64, n int) *nats.Msg {
	msg := nats.NewMsg(fmt.Sprintf("%s.rate.%s.%d", p.prefix, token(scope), k))
	msg.Header.Set("Nats-Incr", "+"+strconv.Itoa(n))
	return msg
}
