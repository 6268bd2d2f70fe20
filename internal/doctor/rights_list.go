package doctor

import "callbus/internal/streams"

// Right is something that a worker's user in NATS has to be allowed.
type Right struct {
	Subject   string // may be a pattern
	Subscribe bool
	For       string // what cannot be done without, after "may not"
	Spare     bool   // work goes on without it
}

// Rights lists what a worker with these settings publishes and subscribes to.
// docs/operators.md shows it, and a worker that may do nothing else is tested.
func Rights(o Options) []Right {
	r := &rightsList{o: o.Streams}
	r.look()
	if o.StreamsMode != streams.ModeVerify {
		r.provision(o.StreamsMode == streams.ModeReconcile)
	}
	r.events(o.Works)
	if o.Works {
		r.commands()
		r.calls()
		r.pacing()
		r.replies()
	}
	r.doctor(o.Works)
	return r.all
}

type rightsList struct {
	o   streams.Options
	all []Right
}

func (r *rightsList) publish(purpose string, subjects ...string) {
	for _, s := range subjects {
		r.all = append(r.all, Right{Subject: s, For: purpose})
	}
}

// spare is for what a worker goes on without.
func (r *rightsList) spare(purpose string, subjects ...string) {
	for _, s := range subjects {
		r.all = append(r.all, Right{Subject: s, For: purpose, Spare: true})
	}
}

func (r *rightsList) subscribe(purpose, subject string) {
	r.all = append(r.all, Right{Subject: subject, Subscribe: true, For: purpose})
}

// stream is the name of a stream, or of that behind a bucket.
func (r *rightsList) stream(name string) string {
	switch name {
	case streams.Registry:
		return "KV_" + r.o.Prefix.Registry()
	case streams.Gates:
		return "KV_" + r.o.Prefix.Stream(name)
	}
	return r.o.Prefix.Stream(name)
}

func (r *rightsList) on(verb string, names ...string) (subjects []string) {
	for _, name := range names {
		subjects = append(subjects, "$JS.API."+verb+"."+r.stream(name))
	}
	return subjects
}

func (r *rightsList) own(subject string) string { return string(r.o.Prefix) + "." + subject }

var everyStream = []string{
	streams.Commands, streams.Results, streams.Events, streams.Dead, streams.Timers, streams.Rate, streams.Quota, streams.Registry, streams.Gates,
}

// readers are the durable consumers, by stream.
var readers = []struct{ stream, name string }{
	{streams.Commands, "urgent"}, {streams.Commands, "control"}, {streams.Commands, "place"},
	{streams.Events, streams.FoldConsumer}, {streams.Timers, streams.DueConsumer},
}

func (r *rightsList) look() {
	const purpose = "look at streams and consumers"
	r.subscribe("get answers", "_INBOX.>")
	r.publish(purpose, "$JS.API.INFO")
	r.publish(purpose, r.on("STREAM.INFO", everyStream...)...)
	for _, c := range readers {
		r.publish(purpose, r.on("CONSUMER.INFO", c.stream)[0]+"."+c.name)
	}
}

func (r *rightsList) provision(update bool) {
	const purpose = "make streams and consumers (--streams=verify does without)"
	r.publish(purpose, r.on("STREAM.CREATE", everyStream...)...)
	if update {
		r.publish(purpose, r.on("STREAM.UPDATE", everyStream...)...)
	}
	for _, subject := range r.on("CONSUMER.CREATE", streams.Commands, streams.Events, streams.Timers) {
		r.publish(purpose, subject+".>")
	}
}

func (r *rightsList) events(works bool) {
	r.publish("store what happens to calls", r.own("events.*.*.*"))
	r.publish("find the owner of a call", r.on("STREAM.MSG.GET", streams.Registry)...)
	if !works {
		r.spare("find the trace that a notification belongs to", r.on("DIRECT.GET", streams.Results)[0]+".>")
	}
}

func (r *rightsList) commands() {
	const fetch, journal = "fetch and finish commands, events and timers", "read and write the journal"
	for _, c := range readers {
		r.publish(fetch, r.on("CONSUMER.MSG.NEXT", c.stream)[0]+"."+c.name, "$JS.ACK."+r.stream(c.stream)+"."+c.name+".>")
	}
	r.publish(fetch, r.on("DIRECT.GET", streams.Commands)...)
	r.publish(fetch, r.on("STREAM.MSG.DELETE", streams.Commands)...)
	r.publish(journal, r.own("results.*.*.*"), r.own("dead.*.*.*"), r.on("DIRECT.GET", streams.Results)[0], r.on("DIRECT.GET", streams.Results)[0]+".>")
	r.publish(journal, r.on("STREAM.MSG.GET", streams.Results)...)
	r.publish("tell other workers that a call has moved", r.own("hints.*.*"))
	r.subscribe("hear that a call has moved", r.own("hints.*.*"))
}

func (r *rightsList) calls() {
	const purpose = "look after calls"
	r.publish(purpose, "$KV."+r.o.Prefix.Registry()+".>", r.own("timers.*.*.*.*"))
	r.publish(purpose, r.on("STREAM.MSG.GET", streams.Events, streams.Timers)...)
	r.publish(purpose, r.on("DIRECT.GET", streams.Events)...)
	r.follow(purpose, streams.Registry)
}

func (r *rightsList) pacing() {
	const purpose = "share gates, pauses, budgets and the pace"
	r.publish(purpose, "$KV."+r.o.Prefix.Stream(streams.Gates)+".>", r.own("quota.*.*.*.*"), r.own("rate.*.*"))
	r.publish(purpose, r.on("STREAM.MSG.GET", streams.Gates)...)
	r.follow(purpose, streams.Gates)
	r.publish(purpose, r.reading(streams.Quota)...)
	r.spare("count dead letters", r.reading(streams.Dead)...)
}

// follow is for the watch of a bucket: a consumer that pushes.
func (r *rightsList) follow(purpose, name string) {
	r.publish(purpose, r.on("CONSUMER.CREATE", name)[0]+".>", r.on("CONSUMER.DELETE", name)[0]+".*", "$JS.FC."+r.stream(name)+".>")
}

// reading is for a consumer of our own on a stream.
func (r *rightsList) reading(name string) []string {
	return []string{r.on("CONSUMER.CREATE", name)[0] + ".>", r.on("CONSUMER.DELETE", name)[0] + ".*", r.on("CONSUMER.MSG.NEXT", name)[0] + ".*"}
}

func (r *rightsList) replies() {
	r.spare("send copies of results to replyTo", "_INBOX.>", r.own("replies.>"))
}

// doctor is what this room does and a worker does not.
func (r *rightsList) doctor(works bool) {
	r.spare("run `worker doctor`", "$SYS.REQ.USER.INFO")
	if works {
		r.spare("run `worker doctor`", r.on("DIRECT.GET", streams.Quota)[0]+".>")
	}
}
