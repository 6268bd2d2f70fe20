package commands

import (
	"encoding/json"
	"time"
)

// The CloudEvents types of what workers publish. The number is the version of
// the contract; within it shapes only grow.
const (
	TypeResult = "callbus.result.v1"
	TypeEvent  = "callbus.event.v1"
	TypeDead   = "callbus.dead.v1"
)

// The names of the schemas in ce-dataschema.
const (
	SchemaResult = "urn:callbus:schema:result:v1"
	SchemaEvent  = "urn:callbus:schema:event:v1"
	SchemaDead   = "urn:callbus:schema:dead:v1"
)

// CloudEvent gives the headers of the record in CloudEvents 1.0's binary mode
// for NATS. ce-id is made of the record itself, so the same record published
// twice has the same id and readers can drop the second.
func (r Result) CloudEvent(p Prefix) map[string]string {
	k := r.Key()
	return cloudEvent(p, TypeResult, SchemaResult, k.Call().String()+"."+k.ID, r.Time, r)
}

// CloudEvent gives the headers of the event; see [Result.CloudEvent].
func (e Event) CloudEvent(p Prefix) map[string]string {
	return cloudEvent(p, TypeEvent, SchemaEvent, e.Call().String(), e.Time, e)
}

// CloudEvent gives the headers of the dead letter; see [Result.CloudEvent].
func (d DeadLetter) CloudEvent(p Prefix) map[string]string {
	k := d.Key()
	return cloudEvent(p, TypeDead, SchemaDead, k.Call().String()+"."+k.ID, d.Time, d)
}

func cloudEvent(p Prefix, kind, schema, subject string, t time.Time, record any) map[string]string {
	body, err := json.Marshal(record)
	if err != nil {
		body = []byte(subject + t.String()) // it cannot be published anyway
	}
	return map[string]string{
		"ce-specversion": "1.0",
		"ce-id":          hash(body)[:32],
		"ce-type":        kind,
		"ce-source":      "/callbus/" + string(p),
		"ce-subject":     subject,
		"ce-time":        t.UTC().Format(time.RFC3339Nano),
		"ce-dataschema":  schema,
		"content-type":   "application/json",
	}
}
