// Package charttest holds the Helm chart to three things: to Helm's own linter,
// to the types of Kubernetes and of the Prometheus operator, and to the flags of
// the worker it runs. It is a module of its own so that the worker does not
// depend on Kubernetes.
package charttest
