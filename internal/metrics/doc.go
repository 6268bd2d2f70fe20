// Package metrics gives the worker's numbers to Prometheus and its health to
// Kubernetes.
//
// Every metric begins "callbus_" and takes its labels from closed sets: a value
// outside the set is counted as "other", and an empty one as "none", so that no
// answer of Graph and no publisher can make the number of series grow. Every
// combination that is expected to occur is there at zero from the start, so
// that rate() sees the first increment. No label carries a call, a user, a
// phone number or a command id.
//
// The package is a leaf: it knows no other room, values are plain strings. A
// nil *Metrics is usable and records nothing.
package metrics
