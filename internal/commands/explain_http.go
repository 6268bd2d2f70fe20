package commands

const (
	srcHTTP       = "Microsoft Graph, error responses and resource types"
	srcThrottling = "Microsoft Graph, throttling guidance"
	srcPractices  = "Microsoft Graph, best practices"
	srcHTTPCall   = "Microsoft Graph, call: get, delete and keepAlive"

	hintLost = "callbus looks into what became of the request and repeats only what does no harm"
)

// httpRows are statuses of Graph's answers. They come without a calling service
// code or with one, which says more. A status is no code of a resultInfo: 403
// of a request is the app's permission, 403 of a call is the callee's policy.
var httpRows = []row{
	{"HTTP 400", "invalid", ClassInvalid, false, "Graph could not take the request", "check the parameters; the code beside the status says more", srcHTTP},
	{"HTTP 401", "unauthorized", ClassConfiguration, false, "Graph refused the token, also a fresh one", hintSetup, srcHTTP},
	{"HTTP 403", "forbidden", ClassConfiguration, false, "the app may not do this", hintSetup, srcHTTP},
	{"HTTP 404", "notFound", ClassGone, false, "the call has ended or never was; after its end Graph does not say why it ended", "", srcHTTPCall},
	{"HTTP 405", "invalid", ClassInvalid, false, "the calling service does not implement the action", "", srcHTTP},
	{"HTTP 408", "gatewayLost", ClassAmbiguous, false, "the answer was lost on the way; the request may have been executed", hintLost, srcHTTP},
	{"HTTP 409", "conflict", ClassConflict, true, "another action on the call is in progress", "send it after the other has finished, as wait \"turn\" does", srcHTTP},
	{"HTTP 412", "conflict", ClassConflict, false, "the call is not as the action needs it", hintState, srcHTTP},
	{"HTTP 413", "invalid", ClassInvalid, false, "the request is too large", "shorten the parameters", srcHTTP},
	{"HTTP 422", "invalid", ClassInvalid, false, "Graph understood the request and cannot carry it out", "check the parameters", srcHTTP},
	{"HTTP 429", "throttled", ClassThrottled, true, "Graph throttles the app; 8529 and 8530 beside it are quotas of calls", "workers wait for Retry-After; slow down", srcThrottling},
	{"HTTP 500", "serverError", ClassTransient, true, "the calling service failed; with a code it says that it did not take the request", "check the parameters: bodies it cannot read end like this; " + hintSupport, srcHTTP},
	{"HTTP 502", "gatewayLost", ClassAmbiguous, false, "Graph lost the calling service's answer; the request may have been executed", hintLost, srcHTTP},
	{"HTTP 503", "unavailable", ClassTransient, true, "Graph is not available", "workers wait for Retry-After and use a new connection", srcPractices},
	{"HTTP 504", "gatewayLost", ClassAmbiguous, false, "the calling service did not answer Graph in time; the request may have been executed", hintLost, srcPractices},
}
