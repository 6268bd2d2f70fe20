// Kubetest asks a real Kubernetes API server, built from its module, whether it
// takes the chart: a server-side dry run of both sets of values with strict
// validation, the CRDs of everything the chart names, and Pod Security
// "restricted" enforced. Run it with "make kube"; it wants kubectl on the PATH.
// A module of its own, because of what it downloads and how long it builds.
package main
