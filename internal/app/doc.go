// Package app assembles the rooms into programs: the worker that serves, the
// embedded stack for development, the demo, and provisioning.
package app
