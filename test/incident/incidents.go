package main

import (
	"callbus/internal/graphsim"
	"callbus/test/chaos/fleet"
)

// incident is one thing that goes wrong.
type incident struct {
	name   string
	faults []graphsim.Fault
	busy   bool // most callees are
	do     func(*fleet.Fleet)
	proof  string   // PromQL: at the end above 0, or nothing went wrong
	want   []string // alerts that must fire
	may    []string // alerts that may: how far it gets depends on timing
}

var incidents = []incident{
	{
		name:   "graphThrottles",
		faults: []graphsim.Fault{{Operation: "createCall", Status: 429, RetryAfter: "20"}},
		proof:  `sum(callbus_graph_throttled_total)`,
		want:   []string{"CallbusGateShut"},
	}, {
		name:   "tokenRefused",
		faults: []graphsim.Fault{{Status: 401, Code: "InvalidAuthenticationToken"}},
		proof:  `sum(callbus_graph_requests_total{code="401"})`,
		want:   []string{"CallbusTokenRefused"},
		may:    []string{"CallbusHangupsWait", "CallbusBreakerOpen"},
	}, {
		name:  "natsDown",
		do:    func(f *fleet.Fleet) { f.NATS()[0].Kill() },
		proof: `count(callbus_nats_connected == 0)`,
		want:  []string{"CallbusNATSDown"},
		may:   []string{"CallbusConsumerStalled", "CallbusNotificationsNotStored"},
	}, {
		name:   "notificationsLost",
		faults: []graphsim.Fault{{Operation: "notification", Notifications: "lose"}},
		proof:  `sum(callbus_calls_silent_total)`,
		want:   []string{"CallbusCallbackUnreachable", "CallbusCallsSilent"},
	}, {
		name:  "calleesBusy",
		busy:  true,
		proof: `sum(callbus_commands_finished_total{class="callee"}) - sum(callbus_commands_finished_total{class="none",action="place"})`,
	},
}
