package app

import "fmt"

// Role is the part of the work that a process does. The empty Role is RoleAll.
type Role string

const (
	RoleAll Role = "all"
	// RoleWorker does everything but receive notifications; others do, at the
	// callback URL.
	RoleWorker Role = "worker"
	// RoleReceiver receives notifications and nothing else: it stores them as
	// events, which workers fold. It needs no credential of Graph's.
	RoleReceiver Role = "receiver"
)

// works tells whether the process executes commands and looks after calls.
func (r Role) works() bool { return r != RoleReceiver }

// receives tells whether the process receives notifications.
func (r Role) receives() bool { return r != RoleWorker }

func (r Role) check() error {
	switch r {
	case "", RoleAll, RoleWorker, RoleReceiver:
		return nil
	}
	return fmt.Errorf("--role is %q: want %s, %s or %s", string(r), RoleAll, RoleWorker, RoleReceiver)
}

// healthChecks are what a process of this role has to pass to be ready.
func (r Role) healthChecks() []string {
	checks := []string{"nats", "streams"}
	if r.receives() {
		checks = append(checks, "callback keys")
	}
	if r.works() {
		checks = append(checks, "token")
	}
	return checks
}
