// Package streams knows what callbus keeps in JetStream: which streams,
// consumers and buckets, with which settings and why. It makes them, or checks
// them and tells the differences field by field.
package streams

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
)

// Names of streams and buckets after the prefix; see [commands.Prefix.Stream].
const (
	Commands = "COMMANDS"
	Results  = "RESULTS"
	Events   = "EVENTS"
	Dead     = "DEAD"
	Timers   = "TIMERS"
	Gates    = "GATES"
	Rate     = "RATE"
	Quota    = "QUOTA"
	// Registry is what the registry's bucket is called where it stands among
	// the others; see [commands.Prefix.Registry] for its own name.
	Registry = "CALLS"
)

// Names of the durable consumers beside the three lanes.
const (
	FoldConsumer = "fold"
	DueConsumer  = "due"
)

// Sizes in bytes.
const (
	maxCommandSize = commands.MaxBody + 8<<10 // the body and its headers
	// MaxAckPending is without bound: parked commands count against it and
	// would keep fresh ones from being delivered.
	maxAckPending = -1
)

// Options are the settings an operator chooses. Zero ages and sizes take the
// defaults of [DefaultOptions].
type Options struct {
	Prefix           commands.Prefix
	Replicas         int
	CommandsMaxBytes int64 // bytes
	ResultsMaxBytes  int64 // bytes; -1 none
	ResultsMaxAge    time.Duration
	EventsMaxAge     time.Duration
	DeadMaxAge       time.Duration
	AckWait          time.Duration // lease of a fetched command
}

// DefaultOptions are what a worker runs with when nothing is set.
func DefaultOptions() Options {
	return Options{
		Prefix: commands.DefaultPrefix, Replicas: 1,
		CommandsMaxBytes: 1 << 30, ResultsMaxBytes: -1,
		ResultsMaxAge: 7 * 24 * time.Hour, EventsMaxAge: 7 * 24 * time.Hour, DeadMaxAge: 30 * 24 * time.Hour,
		AckWait: 15 * time.Second,
	}
}

// Stream configurations, the reasons beside the settings.
func (o Options) streams() []jetstream.StreamConfig {
	p := o.Prefix
	subjects := make([]string, 0, len(commands.Actions))
	for _, a := range commands.Actions {
		// One literal subject an action: a mistyped action finds no stream and
		// fails at publish. A wildcard would store it, nobody would read it,
		// and it would block its call for ever.
		subjects = append(subjects, p.Command(commands.CallKey{Producer: "*", CallRef: "*"}, a))
	}
	any := string(p)
	return []jetstream.StreamConfig{{
		Name:        p.Stream(Commands),
		Description: "unfinished call commands, nothing else",
		Subjects:    subjects,
		Retention:   jetstream.WorkQueuePolicy,
		Storage:     jetstream.FileStorage,
		Replicas:    o.Replicas,
		Discard:     jetstream.DiscardNew, // a full queue refuses the producer
		MaxBytes:    o.CommandsMaxBytes,
		MaxMsgSize:  maxCommandSize,
		AllowDirect: true, // the head check
		Duplicates:  2 * time.Minute,
	}, {
		Name:        p.Stream(Results),
		Description: "the life of every command: results and ledger",
		Subjects:    []string{any + ".results.*.*.*"},
		Storage:     jetstream.FileStorage,
		Replicas:    o.Replicas,
		Discard:     jetstream.DiscardNew, // full: sending stops, nothing is evicted early
		MaxBytes:    o.ResultsMaxBytes,
		MaxAge:      o.ResultsMaxAge,
		AllowDirect: true,
		DenyDelete:  true,
		DenyPurge:   true,
		Duplicates:  2 * time.Minute,
	}, {
		Name:        p.Stream(Events),
		Description: "what Graph told us, or we found out, about calls",
		Subjects:    []string{any + ".events.*.*.*"},
		Storage:     jetstream.FileStorage,
		Replicas:    o.Replicas,
		Discard:     jetstream.DiscardNew, // full: Graph repeats what is refused; what is evicted may not be folded yet
		MaxAge:      o.EventsMaxAge,
		AllowDirect: true,
		Duplicates:  10 * time.Minute, // redelivered notifications
	}, {
		Name:        p.Stream(Dead),
		Description: "commands that need a look",
		Subjects:    []string{any + ".dead.*.*.*"},
		Storage:     jetstream.FileStorage,
		Replicas:    o.Replicas,
		Discard:     jetstream.DiscardNew, // full: commands wait in the queue, no letter goes unseen
		MaxAge:      o.DeadMaxAge,
		AllowDirect: true,
		Duplicates:  2 * time.Minute,
	}, {
		Name:        p.Stream(Timers),
		Description: "durable timers, armed and fired",
		Subjects:    []string{any + ".timers.*.*.*.*", any + ".due.*.*.*.*"},
		Storage:     jetstream.FileStorage,
		Replicas:    o.Replicas,
		// Fired timers go after a day; armed ones carry Nats-TTL never, which
		// exempts them from MaxAge. The server refuses DiscardNew beside message
		// schedules, so a limit in bytes would evict armed timers: there is none.
		MaxAge:            24 * time.Hour,
		MaxMsgsPerSubject: 1,
		AllowDirect:       true,
		AllowMsgTTL:       true,
		AllowMsgSchedules: true,
		Duplicates:        2 * time.Minute,
	}, {
		Name:        p.Stream(Rate),
		Description: "tokens of the request rate, counted by scope and quarter second",
		Subjects:    []string{any + ".rate.*.*"},
		Storage:     jetstream.MemoryStorage, // worth nothing a second later
		Replicas:    o.Replicas,
		// A counter keeps one message a subject, and must not refuse: the oldest go.
		MaxAge:            time.Minute,
		MaxMsgsPerSubject: 1,
		AllowMsgCounter:   true,
		Duplicates:        time.Minute,
	}, {
		Name:        p.Stream(Quota),
		Description: "calls placed, by app, tenant, producer and month: counters",
		Subjects:    []string{any + ".quota.*.*.*.*"},
		Storage:     jetstream.FileStorage,
		Replicas:    o.Replicas,
		// A counter is its last message; the server allows neither DiscardNew nor
		// message TTLs beside counters, so old months go by age.
		MaxAge:            400 * 24 * time.Hour,
		MaxMsgsPerSubject: 1,
		AllowDirect:       true,
		AllowMsgCounter:   true,
		Duplicates:        10 * time.Minute, // a call is counted once, also when an acknowledgement was lost
	}}
}

func (o Options) buckets() []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{{
		Bucket:         o.Prefix.Registry(),
		Description:    "the call registry",
		History:        1,
		Storage:        jetstream.FileStorage,
		Replicas:       o.Replicas,
		LimitMarkerTTL: 7 * 24 * time.Hour, // allows Nats-TTL on ended calls
	}, {
		Bucket:         o.Prefix.Stream(Gates),
		Description:    "shared throttle gates and pauses",
		History:        1,
		Storage:        jetstream.FileStorage,
		Replicas:       o.Replicas,
		LimitMarkerTTL: 7 * 24 * time.Hour,
	}}
}

// consumer is a durable consumer and the stream it reads.
type consumer struct {
	stream string
	config jetstream.ConsumerConfig
}

func (o Options) consumers() []consumer {
	p := o.Prefix
	var all []consumer
	for _, lane := range commands.Lanes {
		cfg := durable(string(lane), o.AckWait)
		for _, a := range commands.Actions {
			if a.Lane() == lane {
				cfg.FilterSubjects = append(cfg.FilterSubjects, p.Command(commands.CallKey{Producer: "*", CallRef: "*"}, a))
			}
		}
		if len(cfg.FilterSubjects) == 1 {
			// The server hands a single filter back in the other field.
			cfg.FilterSubject, cfg.FilterSubjects = cfg.FilterSubjects[0], nil
		}
		all = append(all, consumer{p.Stream(Commands), cfg})
	}
	fold := durable(FoldConsumer, o.AckWait)
	for _, k := range []commands.Kind{commands.KindIncoming, commands.KindState, commands.KindRoster, commands.KindOperation} {
		fold.FilterSubjects = append(fold.FilterSubjects, p.Event(commands.CallKey{Producer: "*", CallRef: "*"}, k))
	}
	due := durable(DueConsumer, o.AckWait)
	due.FilterSubject = string(p) + ".due.*.*.*.*"
	return append(all, consumer{p.Stream(Events), fold}, consumer{p.Stream(Timers), due})
}

// durable is what all our consumers share: explicit acks, a lease that is
// renewed, unlimited deliveries (attempts are counted in the ledger) and no
// BackOff, which would replace the lease.
func durable(name string, ackWait time.Duration) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: name, Name: name,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: maxAckPending,
		MaxWaiting:    2048,
	}
}
