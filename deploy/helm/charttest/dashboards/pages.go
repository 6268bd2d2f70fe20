package dashboards

// All are the dashboards, the overview first.
func All() []Dashboard { return []Dashboard{overview(), graphPage(), queue(), calls(), workers()} }

// fault are the commands that ended in a fault of callbus, of Graph or of their
// settings, as the objective counts them.
const fault = `status=~"failed|unknown",class!~"callee|gone|conflict|refused|invalid"`

func overview() Dashboard {
	return Dashboard{Name: "overview", Title: "overview", About: "Are calls going out? If not, which of NATS, Graph, quota, permission and our own code is it?", Rows: []Row{
		{"Are calls going out?", []Panel{
			stat("Calls dialled", "cpm", "Places that Graph took, a minute. Nothing dialled while commands wait is an outage.",
				q("", `60 * sum(rate(callbus_graph_requests_total{$sel,operation="createCall",code="201"}[5m]))`)),
			stat("Commands without a fault", "percentunit", "Share of commands that ended without a fault of callbus, Graph or settings in the last 5 minutes. The objective is 99 %; what the callee does is no fault.",
				q("", `1 - (sum(rate(callbus_commands_finished_total{$sel,`+fault+`}[5m])) / sum(rate(callbus_commands_finished_total{$sel,status=~"succeeded|failed|expired|unknown"}[5m])))`)).below(.99, .9),
			stat("Waiting for a worker", "short", "Commands that somebody could work on now.",
				q("", `sum(max by (namespace, job, lane) (callbus_backlog_runnable{$sel}))`)).above(500, 5000),
			stat("Oldest hang-up", "s", "Age of the oldest hang-up, redirect or cancelMediaProcessing in the queue; they go first.",
				q("", `max(callbus_backlog_oldest_age_seconds{$sel,lane="urgent"})`)).above(10, 60),
			stat("Live calls", "short", "Calls in the registry, in any state.",
				q("", `sum(max by (namespace, job, state) (callbus_calls_live{$sel}))`)),
			stat("Dead letters", "short", "Commands that need a look, kept for 30 days. New ones are what counts.",
				q("", `sum(max by (namespace, job, cause) (callbus_dead_letters{$sel}))`)).above(1, 100),
		}},
		{"If not, which of these?", []Panel{
			stat("NATS", "percentunit", "Share of workers that are connected. 0: NATS or the way to it.",
				q("", `avg(callbus_nats_connected{$sel})`)).below(1, .5).wide(3),
			stat("Graph", "percentunit", "Share of requests without an answer, or with a 5xx. Graph or the way to it.",
				q("", `sum(rate(callbus_graph_requests_total{$sel,code=~"none|408|5.."}[5m])) / sum(rate(callbus_graph_requests_total{$sel}[5m]))`)).above(.05, .25).wide(3),
			stat("Breakers", "short", "Open circuit breakers, of any tenant: Graph failed so often that nothing but probes is sent.",
				q("", `sum(max by (namespace, job, scope) (callbus_breaker_state{$sel,state="open"}))`)).above(1, 2).wide(3),
			stat("Quota", "percentunit", "The fullest budget of calls, live or monthly. At 100 % places wait or fail.",
				q("", `max(max by (namespace, job, scope, budget) (callbus_call_budget_used{$sel}) / (max by (namespace, job, scope, budget) (callbus_call_budget_limit{$sel}) > 0))`)).above(.8, .95).wide(3),
			stat("Throttling", "short", "Gates that are shut, of any tenant and class. Graph said 429, or a budget is used up.",
				q("", `sum(max by (namespace, job, scope, class) (callbus_throttle_gate_closed{$sel}))`)).above(1, 4).wide(3),
			stat("Paused", "short", "Lanes that an operator holds back, of any tenant.",
				q("", `sum(max by (namespace, job, scope, lane) (callbus_paused{$sel}))`)).above(1, 4).wide(3),
			stat("Permission", "percentunit", "Share of requests answered 401 or 403: token, permission, consent.",
				q("", `sum(rate(callbus_graph_requests_total{$sel,code=~"401|403"}[5m])) / sum(rate(callbus_graph_requests_total{$sel}[5m]))`)).above(.02, .1).wide(3),
			stat("Our own code", "cpm", "Commands that ended in an internal error, a minute.",
				q("", `60 * sum(rate(callbus_commands_finished_total{$sel,class="internal"}[5m]))`)).above(.1, 1).wide(3),
		}},
		{"The last hours", []Panel{
			graph("Outcomes", "cpm", "Final records by status, a minute.",
				q("{{status}}", `60 * sum by (status) (rate(callbus_commands_finished_total{$sel}[5m]))`)),
			graph("Failures by class", "cpm", "What did not succeed, by the class of its error. callee is what people do; configuration, throttled, quota, transient and internal are faults.",
				q("{{class}}", `60 * sum by (class) (rate(callbus_commands_finished_total{$sel,class!="none"}[5m]))`)),
			graph("Error budget burnt", "short", "How many times faster than a month the budget of faults (success) and of late hang-ups and reads (latency) is used up, over 1 hour. 14.4 pages.",
				q("success", `callbus:success_errors:ratio_rate1h{$sel} / 0.01`),
				q("latency", `callbus:latency_errors:ratio_rate1h{$sel} / 0.01`)).above(1, 14.4),
			graph("Queue", "short", "Unfinished commands, and those of them that somebody could work on now.",
				q("unfinished {{lane}}", `max by (lane) (callbus_backlog{$sel})`),
				q("runnable {{lane}}", `max by (lane) (callbus_backlog_runnable{$sel})`)),
			graph("Silent calls", "cpm", "Calls that had to be read because no notification came, a minute. Anything but 0 says that Microsoft does not reach the callback URL.",
				q("silent", `60 * sum(rate(callbus_calls_silent_total{$sel}[5m]))`)).above(.1, 1),
			graph("Alerts", "short", "Alerts of callbus that fire.",
				q("{{alertname}} {{severity}}", `count by (alertname, severity) (ALERTS{alertname=~"Callbus.*",alertstate="firing"})`)).above(1, 1),
		}},
	}}
}

func graphPage() Dashboard {
	return Dashboard{Name: "graph", Title: "Microsoft Graph", About: "How Graph answers, what it refuses, how much it lets us send.", Rows: []Row{
		{"Answers", []Panel{
			graph("Requests", "reqps", "Requests by operation, a second.",
				q("{{operation}}", `sum by (operation) (rate(callbus_graph_requests_total{$sel}[5m]))`)),
			graph("Status", "reqps", "Requests by HTTP status; none is no answer at all.",
				q("{{code}}", `sum by (code) (rate(callbus_graph_requests_total{$sel}[5m]))`)),
			graph("Graph's codes", "reqps", "Answers with an error body by its code; bin/publisher explain tells what one means.",
				q("{{code}} {{graph_code}}", `sum by (code, graph_code) (rate(callbus_graph_requests_total{$sel,graph_code!="none"}[5m]))`)),
		}},
		{"Latency", []Panel{
			graph("Latency, 95th percentile", "s", "Time of 95 % of the requests, by operation. Beyond --graph-timeout (10 s) a request has no answer.",
				q("{{operation}}", `histogram_quantile(0.95, sum by (operation, le) (rate(callbus_graph_request_duration_seconds_bucket{$sel}[5m])))`)).above(2, 10),
			graph("Latency, median", "s", "Time of half of the requests, by operation.",
				q("{{operation}}", `histogram_quantile(0.5, sum by (operation, le) (rate(callbus_graph_request_duration_seconds_bucket{$sel}[5m])))`)).above(1, 5),
			graph("No answer or 5xx", "percentunit", "Share of the requests, by operation.",
				q("{{operation}}", `sum by (operation) (rate(callbus_graph_requests_total{$sel,code=~"none|408|5.."}[5m])) / sum by (operation) (rate(callbus_graph_requests_total{$sel}[5m]))`)).above(.05, .25),
		}},
		{"Throttling and breakers", []Panel{
			graph("Throttled", "reqps", "Requests answered 429, by tenant and class.",
				q("{{scope}} {{class}}", `sum by (scope, class) (rate(callbus_graph_throttled_total{$sel}[5m]))`)).above(.1, 1),
			graph("Gate shut", "short", "1 while requests of a tenant and class are held back by all workers.",
				q("{{scope}} {{class}}", `max by (scope, class) (callbus_throttle_gate_closed{$sel})`)).above(1, 1),
			graph("Gate opens in", "s", "Seconds until a shut gate opens, as Graph said. Negative or absent: open.",
				q("{{scope}} {{class}}", `(max by (scope, class) (callbus_throttle_gate_reopen_timestamp_seconds{$sel}) > 0) - time()`)).above(60, 900),
			graph("Rate allowed", "reqps", "The request rate that all workers together keep to for a tenant, learned or set.",
				q("{{scope}}", `max by (scope) (callbus_pacer_limit_requests_per_second{$sel})`)),
			graph("Breaker", "short", "1 for the state a tenant's circuit breaker is in, on any worker.",
				q("{{scope}} {{state}}", `max by (scope, state) (callbus_breaker_state{$sel})`)),
			graph("Paused", "short", "1 while an operator's pause holds a lane of a tenant.",
				q("{{scope}} {{lane}}", `max by (scope, lane) (callbus_paused{$sel})`)).above(1, 1),
		}},
		{"Tokens", []Panel{
			graph("Tokens", "cpm", "Tokens fetched for Graph, a minute, by outcome.",
				q("{{outcome}}", `60 * sum by (outcome) (rate(callbus_token_fetches_total{$sel}[5m]))`)).wide(12),
			graph("401 and 403", "reqps", "Requests that Graph refuses for the token or for want of permission, by status and code.",
				q("{{code}} {{graph_code}}", `sum by (code, graph_code) (rate(callbus_graph_requests_total{$sel,code=~"401|403"}[5m]))`)).above(.1, 1).wide(12),
		}},
		{"Budget of calls", []Panel{
			graph("Used", "percentunit", "Share of each budget that is used. Places wait or fail at 100 %.",
				q("{{scope}} {{budget}}", `max by (scope, budget) (callbus_call_budget_used{$sel}) / (max by (scope, budget) (callbus_call_budget_limit{$sel}) > 0)`)).above(.8, .95).wide(12),
			graph("Calls and limits", "short", "Calls counted against each budget, and its limit.",
				q("used {{scope}} {{budget}}", `max by (scope, budget) (callbus_call_budget_used{$sel})`),
				q("limit {{scope}} {{budget}}", `max by (scope, budget) (callbus_call_budget_limit{$sel})`)).wide(12),
		}},
	}}
}

func queue() Dashboard {
	return Dashboard{Name: "queue", Title: "queue", About: "What waits, for whom, and for how long. urgent: hang-ups, redirects, cancelMediaProcessing; place; control: all else.", Rows: []Row{
		{"Lanes", []Panel{
			graph("Unfinished", "short", "Commands in the queue, by lane, also those that are not due or wait for their call.",
				q("{{lane}}", `max by (lane) (callbus_backlog{$sel})`)),
			graph("Runnable", "short", "Those that somebody could work on now, by lane. Growing: too few workers.",
				q("{{lane}}", `max by (lane) (callbus_backlog_runnable{$sel})`)).above(500, 5000),
			graph("Oldest", "s", "Age of the oldest command, by lane. Old places with a notBefore are no trouble, old hang-ups are.",
				q("{{lane}}", `max by (lane) (callbus_backlog_oldest_age_seconds{$sel})`)).above(60, 600),
			graph("In hand", "short", "Commands that workers hold, by lane; --concurrency bounds it for each worker.",
				q("{{lane}}", `sum by (lane) (callbus_commands_in_flight{$sel})`)),
			graph("Received", "cpm", "Commands taken for the first time, a minute, by action.",
				q("{{action}}", `60 * sum by (action) (rate(callbus_commands_received_total{$sel}[5m]))`)),
			graph("Finished", "cpm", "Commands with a final record, a minute, by action.",
				q("{{action}}", `60 * sum by (action) (rate(callbus_commands_finished_total{$sel}[5m]))`)),
		}},
		{"Where the time goes", []Panel{
			graph("From publishing to the outcome", "s", "Time of 95 % of the commands, by action. Places ring, prompts speak.",
				q("{{action}}", `histogram_quantile(0.95, sum by (action, le) (rate(callbus_command_duration_seconds_bucket{$sel,stage="total"}[5m])))`)),
			graph("Stages", "s", "Time of 95 % of the commands in each stage: queued (turn, call, notBefore), throttled, Graph.",
				q("{{stage}}", `histogram_quantile(0.95, sum by (stage, le) (rate(callbus_command_duration_seconds_bucket{$sel,stage!="total"}[5m])))`)),
			graph("Hang-ups", "s", "Time from publishing to the outcome of hang-ups, by share of them. The objective is 10 s for 99 %.",
				q("50 %", `histogram_quantile(0.5, sum by (le) (rate(callbus_command_duration_seconds_bucket{$sel,stage="total",action="hangup"}[5m])))`),
				q("99 %", `histogram_quantile(0.99, sum by (le) (rate(callbus_command_duration_seconds_bucket{$sel,stage="total",action="hangup"}[5m])))`)).above(5, 10),
		}},
		{"Trouble", []Panel{
			graph("Dead letters", "short", "Commands that need a look, by cause.",
				q("{{cause}}", `max by (cause) (callbus_dead_letters{$sel})`)).above(1, 100),
			graph("Fetching fails", "cpm", "Failures to fetch, stalls among them, a minute, by lane.",
				q("{{lane}}", `60 * sum by (lane) (rate(callbus_fetch_errors_total{$sel}[5m]))`),
				q("{{consumer}}", `60 * sum by (consumer) (rate(callbus_consumer_stalls_total{$sel}[5m]))`)).above(.1, 1),
			graph("Refused by NATS", "cpm", "Messages that a stream or bucket did not take, a minute: full or missing.",
				q("{{stream}} {{reason}}", `60 * sum by (stream, reason) (rate(callbus_store_refused_total{$sel}[5m]))`)).above(.1, 1),
			graph("Streams filled", "percentunit", "Share of its limit that each stream or bucket holds. Full means that producers are refused or that nothing is sent.",
				q("{{stream}}", `max by (stream) (callbus_stream_bytes{$sel}) / (max by (stream) (callbus_stream_limit_bytes{$sel}) > 0)`)).above(.8, .95),
			graph("Events and timers", "short", "Events and fired timers that no worker has finished.",
				q("{{consumer}}", `max by (consumer) (callbus_consumer_pending{$sel})`)).above(500, 5000),
		}},
	}}
}

func calls() Dashboard {
	return Dashboard{Name: "calls", Title: "calls", About: "Calls that live, how they were answered and how they ended.", Rows: []Row{
		{"Now", []Panel{
			graph("Live calls", "short", "Calls in the registry, by Graph's state.",
				q("{{state}}", `max by (state) (callbus_calls_live{$sel})`)).wide(12),
			graph("Placed and answered", "cpm", "Places that Graph took and places that were answered, a minute. Voicemail answers too.",
				q("taken by Graph", `60 * sum(rate(callbus_graph_requests_total{$sel,operation="createCall",code="201"}[5m]))`),
				q("answered", `60 * sum(rate(callbus_commands_finished_total{$sel,action="place",status="succeeded"}[5m]))`)).wide(12),
		}},
		{"How they end", []Panel{
			graph("Ended", "cpm", "Calls whose end became known, a minute, by reason. unseen: the end was found out by reading.",
				q("{{reason}}", `60 * sum by (reason) (rate(callbus_calls_ended_total{$sel}[5m])) > 0`)),
			graph("Places that failed", "cpm", "Places that ended without an answered call, a minute, by status and class.",
				q("{{status}} {{class}}", `60 * sum by (status, class) (rate(callbus_commands_finished_total{$sel,action="place",status!="succeeded"}[5m])) > 0`)),
			graph("Answer rate", "percentunit", "Share of the places with an outcome that were answered. What is usual depends on whom you call.",
				q("answered", `sum(rate(callbus_commands_finished_total{$sel,action="place",status="succeeded"}[15m])) / sum(rate(callbus_commands_finished_total{$sel,action="place",status=~"succeeded|failed|unknown"}[15m]))`)),
		}},
		{"Ringing and talking", []Panel{
			graph("Ringing", "s", "Time from placing to the answer or the end: half and 95 % of the calls.",
				q("50 %", `histogram_quantile(0.5, sum by (le) (rate(callbus_call_ring_seconds_bucket{$sel}[15m])))`),
				q("95 %", `histogram_quantile(0.95, sum by (le) (rate(callbus_call_ring_seconds_bucket{$sel}[15m])))`)).wide(12),
			graph("Talking", "s", "Time from the answer to the end: half and 95 % of the calls.",
				q("50 %", `histogram_quantile(0.5, sum by (le) (rate(callbus_call_talk_seconds_bucket{$sel}[1h])))`),
				q("95 %", `histogram_quantile(0.95, sum by (le) (rate(callbus_call_talk_seconds_bucket{$sel}[1h])))`)).wide(12),
		}},
		{"Keeping them", []Panel{
			graph("Keep-alives", "cpm", "Keep-alives, a minute, by outcome. gone: the call had ended unseen. A call without one for 45 minutes is ended by Graph.",
				q("{{outcome}}", `60 * sum by (outcome) (rate(callbus_keepalives_total{$sel}[20m]))`)).wide(12),
			graph("Silent calls", "percentunit", "Share of the placed calls that no notification came for.",
				q("silent", `sum(rate(callbus_calls_silent_total{$sel}[15m])) / sum(rate(callbus_graph_requests_total{$sel,operation="createCall",code="201"}[15m]))`)).above(.05, .5).wide(12),
		}},
	}}
}

func workers() Dashboard {
	const by = `{{pod}}{{instance}}`
	return Dashboard{Name: "workers", Title: "workers", About: "The processes: what they use, what they hold, what Graph tells them.", Rows: []Row{
		{"Processes", []Panel{
			stat("Workers", "short", "Workers that answer a scrape.", q("", `sum(up{$sel})`)).below(2, 1),
			stat("Connected to NATS", "short", "Workers with a connection to NATS.", q("", `sum(callbus_nats_connected{$sel})`)).below(2, 1),
			stat("Builds", "short", "Different builds that run; more than one only during a rollout.", q("", `count(count by (version, revision) (callbus_build_info{$sel}))`)).above(2, 3),
			stat("Restarts", "short", "Starts of workers within the last hour.", q("", `sum(changes(process_start_time_seconds{$sel}[1h]))`)).above(3, 10),
		}},
		{"Resources", []Panel{
			graph("CPU", "short", "Processors in use, by worker.", q(by, `rate(process_cpu_seconds_total{$sel}[5m])`)),
			graph("Memory", "bytes", "Resident memory, by worker; the chart's limit is 512 MiB.", q(by, `process_resident_memory_bytes{$sel}`)).above(400<<20, 490<<20),
			graph("Goroutines", "short", "Goroutines, by worker. Growth without load is a leak.", q(by, `go_goroutines{$sel}`)),
			graph("Open files", "percentunit", "Share of the file descriptors in use, by worker; connections of the callback endpoint are among them.",
				q(by, `process_open_fds{$sel} / process_max_fds{$sel}`)).above(.6, .85),
			graph("Garbage collection", "s", "Longest pause of the collector, by worker.", q(by, `max by (pod, instance) (go_gc_duration_seconds{$sel,quantile="1"})`)).above(.05, .5),
			graph("In hand", "short", "Commands each worker holds; --concurrency bounds it for each lane.", q(by, `sum by (pod, instance) (callbus_commands_in_flight{$sel})`)),
		}},
		{"Notifications", []Panel{
			graph("Received", "cpm", "Notifications, a minute, by what became of them.",
				q("{{outcome}}", `60 * sum by (outcome) (rate(callbus_notifications_total{$sel}[5m])) > 0`)),
			graph("By kind", "cpm", "Stored notifications, a minute, by kind.",
				q("{{kind}}", `60 * sum by (kind) (rate(callbus_notifications_total{$sel,outcome="stored"}[5m]))`)),
			graph("Refused", "percentunit", "Share of the notifications whose token does not hold, or that cannot be read.",
				q("refused", `sum(rate(callbus_notifications_total{$sel,outcome!~"stored|duplicate|storeFailed|notFound"}[5m])) / sum(rate(callbus_notifications_total{$sel}[5m]))`)).above(.05, .1),
		}},
	}}
}
