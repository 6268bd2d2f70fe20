package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/streams"
)

// inJetStream looks at what is stored: how safe it is, whether it is as it should
// be, what waits in it.
func (x *examination) inJetStream(ctx context.Context, js jetstream.JetStream) []Finding {
	s, err := streams.Look(ctx, js, x.Streams, x.Now)
	if err != nil {
		do := "look at the servers and their leaders (`nats server report jetstream`), and at the line about rights"
		return append([]Finding{fail("streams", do, "%v", err)}, skipped("the streams cannot be looked at", "durability", "queue", "dead")...)
	}
	if !s.Clock.Server.IsZero() {
		x.told(reading{"the NATS server", s.Clock.Before, s.Clock.After, s.Clock.Server, s.Clock.Server})
	}
	found := judgeDurability(js.Conn().ConnectedClusterName(), s.Streams)
	plan, err := streams.Provision(ctx, js, x.Streams, streams.ModeVerify, true)
	if err != nil {
		found = append(found, fail("streams", "look at the line about rights, and at the servers", "%v", err))
	} else {
		found = append(found, judgeStreams(s, plan.Differences, x.StreamsMode)...)
	}
	found = append(found, judgeQueue(s, x.Now())...)
	return append(found, judgeDead(s, x.Now())...)
}

// judgeDurability tells what a loss of power, or of a server, would take.
func judgeDurability(cluster string, all []streams.Standing) (found []Finding) {
	const check = "durability"
	least := 0
	for _, s := range all {
		if s.NoLeader {
			found = append(found, fail(check, "bring back the servers: without most of its replicas a stream takes nothing", "%s has no leader", s.Full))
		}
		if len(s.Behind) > 0 {
			found = append(found, warn(check, "look at those servers: the loss of one more may stop the stream", "%s: %s away or not up to date", s.Full, strings.Join(s.Behind, ", ")))
		}
		if !s.InMemory && (least == 0 || s.Replicas < least) {
			least = s.Replicas
		}
	}
	switch {
	case least == 0:
		found = append(found, skip(check, "there are no streams yet"))
	case least == 1 && cluster == "":
		found = append(found, warn(check, "run three servers and --stream-replicas=3, or set sync_interval: always and leave this line be: whether it is set cannot be seen from here",
			"one server keeps everything: what it acknowledges is on disk only up to two minutes later, and a loss of power may make it forget that a call was dialled"))
	case least == 1:
		found = append(found, warn(check, "--stream-replicas=3 and `worker provision --streams=reconcile`",
			"the servers of cluster %s keep one replica of each stream: the loss of one stops work, and a loss of power may make it forget that a call was dialled", cluster))
	case least == 2:
		found = append(found, warn(check, "--stream-replicas=3 and `worker provision --streams=reconcile`", "two replicas: the loss of either stops work"))
	case len(found) == 0:
		found = append(found, ok(check, "%d replicas in cluster %s, all up to date", least, cluster))
	}
	return found
}

// judgeStreams tells what is missing, what differs, and what is full.
func judgeStreams(s streams.Survey, differences []streams.Difference, mode streams.Mode) (found []Finding) {
	const check = "streams"
	if len(s.Streams) == 0 && len(differences) > 0 {
		if mode == streams.ModeVerify {
			return []Finding{fail(check, "`worker provision`", "none of the streams exists, and with --streams=verify a worker makes none")}
		}
		return []Finding{warn(check, "start a worker, or run `worker provision`", "none of the streams exists yet")}
	}
	for _, d := range byObject(differences) {
		switch {
		case d.missing:
			found = append(found, fail(check, "`worker provision`; workers go on by themselves then", "%s is missing: somebody deleted it, or the server lost it", d.object))
		case mode == streams.ModeReconcile:
			found = append(found, warn(check, "`worker provision --streams=reconcile` with the workers' flags; workers do it when they start", "%s", d.text))
		default:
			found = append(found, fail(check, "give doctor the workers' flags, or run `worker provision --streams=reconcile` with them: workers do not start with this", "%s", d.text))
		}
	}
	for _, st := range s.Streams {
		left, limited := st.Left()
		switch {
		case !limited || st.WhenFull == "":
		case left < largestMessage:
			found = append(found, fail(check, st.Remedy, "%s is full, %s of %s: %s", st.Full, size(st.Bytes), size(st.Limit), st.WhenFull))
		case st.Bytes*5 >= st.Limit*4:
			found = append(found, warn(check, st.Remedy, "%s is full soon, %s of %s; then %s", st.Full, size(st.Bytes), size(st.Limit), st.WhenFull))
		}
	}
	if len(found) == 0 {
		found = append(found, ok(check, "%d streams and buckets and %d consumers are as they should be; the largest are %s", len(s.Streams), len(s.Readers), largest(s.Streams)))
	}
	return found
}

// difference is all that differs of one object.
type difference struct {
	object, text string
	missing      bool
}

// byObject puts together what is said of one object, and leaves out the consumers
// of a stream that is missing itself.
func byObject(all []streams.Difference) (objects []difference) {
	gone := map[string]bool{}
	for _, d := range all {
		if d.Field == "" {
			gone[d.Object] = true
			if stream, _, is := strings.Cut(strings.TrimPrefix(d.Object, "consumer "), "/"); is && gone["stream "+stream] {
				continue
			}
			objects = append(objects, difference{d.Object, d.String(), true})
			continue
		}
		if n := len(objects) - 1; n >= 0 && objects[n].object == d.Object {
			objects[n].text += "; " + strings.TrimPrefix(d.String(), d.Object+": ")
			continue
		}
		objects = append(objects, difference{d.Object, d.String(), false})
	}
	return objects
}

// largest names the two that hold most.
func largest(all []streams.Standing) string {
	var first, second streams.Standing
	for _, s := range all {
		switch {
		case s.Bytes >= first.Bytes:
			first, second = s, first
		case s.Bytes >= second.Bytes:
			second = s
		}
	}
	return fmt.Sprintf("%s %s, %s %s", first.Full, size(first.Bytes), second.Full, size(second.Bytes))
}

// longWait is an age of the oldest command that is worth a look.
const longWait = 5 * time.Minute

// judgeQueue tells what waits, for how long, and whether anybody fetches it.
func judgeQueue(s streams.Survey, now time.Time) (found []Finding) {
	const check = "queue"
	var said []string
	asking := 0
	for _, r := range s.Readers {
		what := "commands of lane " + r.Name
		switch r.Name {
		case streams.FoldConsumer:
			what = "events"
		case streams.DueConsumer:
			what = "fired timers"
		default:
			said = append(said, fmt.Sprintf("%s %d", r.Name, r.Waiting+r.InHand))
		}
		asking += r.Asking
		if r.Waiting > 0 && r.Asking == 0 && r.InHand == 0 {
			found = append(found, warn(check, "start workers, and look at what keeps them from fetching", "%d %s wait and no worker fetches them", r.Waiting, what))
		}
	}
	if len(said) == 0 {
		return append(found, skip(check, "not looked at: its consumers are missing"))
	}
	text := "commands unfinished: " + strings.Join(said, ", ")
	for _, st := range s.Streams {
		if st.Name != streams.Commands || st.Oldest.IsZero() {
			continue
		}
		text += "; the oldest is of " + ago(now, st.Oldest)
		if now.Sub(st.Oldest) > longWait && len(found) == 0 {
			found = append(found, warn(check, "their `waiting` records say for what (`publisher watch`); with a notBefore they are meant to wait", "%s", text))
		}
	}
	if len(found) == 0 {
		if asking == 0 {
			text += "; no worker is asking for any"
		}
		found = append(found, ok(check, "%s", text))
	}
	return found
}

// freshLetter is the age up to which a dead letter is news.
const freshLetter = 24 * time.Hour

// judgeDead tells of dead letters.
func judgeDead(s streams.Survey, now time.Time) []Finding {
	const check = "dead"
	for _, st := range s.Streams {
		switch {
		case st.Name != streams.Dead:
		case st.Messages == 0:
			return []Finding{ok(check, "no dead letters")}
		case now.Sub(st.Newest) < freshLetter:
			return []Finding{warn(check, "look at them: docs/operators.md, dead letters", "%d dead letters in %s, the last of %s", st.Messages, st.Full, ago(now, st.Newest))}
		default:
			return []Finding{ok(check, "%d dead letters in %s, none of the last %s", st.Messages, st.Full, short(freshLetter))}
		}
	}
	return []Finding{skip(check, "not looked at: the stream is missing")}
}
