package commands

const srcErrors = srcHTTP

// gatewayRows are the words of Graph's gateway in front of the service.
var gatewayRows = []row{
	{"BadRequest", "badRequest", ClassInvalid, false, "Graph could not take the request", "check the parameters", srcErrors},
	{"invalidRequest", "badRequest", ClassInvalid, false, "Graph could not take the request", "check the parameters", srcErrors},
	{"InvalidAuthenticationToken", "notPermitted", ClassConfiguration, false, "Graph refused the token", hintSetup, srcErrors},
	{"unauthenticated", "notPermitted", ClassConfiguration, false, "Graph saw no valid token", hintSetup, srcErrors},
	{"Unauthorized", "notPermitted", ClassConfiguration, false, "Graph refused the token", hintSetup, srcErrors},
	{"Forbidden", "notPermitted", ClassConfiguration, false, "the app may not do this", hintSetup, srcErrors},
	{"accessDenied", "notPermitted", ClassConfiguration, false, "the app may not do this", hintSetup, srcErrors},
	{"Authorization_RequestDenied", "notPermitted", ClassConfiguration, false, "the app may not do this", hintSetup, srcErrors},
	{"NotFound", "callGone", ClassGone, false, "Graph does not know the call", "", srcErrors},
	{"itemNotFound", "callGone", ClassGone, false, "Graph does not know the call", "", srcErrors},
	{"Conflict", "conflict", ClassConflict, true, "the call's state does not allow it now", hintState, srcErrors},
	{"TooManyRequests", "throttled", ClassThrottled, true, "Graph throttles the app", "slow down", srcErrors},
	{"activityLimitReached", "throttled", ClassThrottled, true, "Graph throttles the app", "slow down", srcErrors},
	{"notSupported", "notSupported", ClassInvalid, false, "the action is not supported", "", srcErrors},
	{"quotaLimitReached", "quota", ClassQuota, true, "a quota is used up", "", srcErrors},
	{"notAllowed", "notPermitted", ClassRefused, false, "the action is not allowed", "check the call's kind and the app's permissions", srcErrors},
	{"resourceModified", "conflict", ClassConflict, true, "the call has changed meanwhile", "read the call, then decide", srcErrors},
	{"MethodNotAllowed", "notSupported", ClassInvalid, false, "the address does not take this method", "check --graph-url and --graph-route", srcErrors},
	{"serviceNotAvailable", "serviceError", ClassTransient, true, "Graph is not available", "", srcErrors},
	{"ServiceUnavailable", "serviceError", ClassTransient, true, "Graph is not available", "", srcErrors},
	{"GatewayTimeout", "serviceError", ClassTransient, true, "the calling service did not answer Graph in time", "", srcErrors},
	{"InternalServerError", "serviceError", ClassTransient, true, "Graph failed", hintSupport, srcErrors},
	{"generalException", "serviceError", ClassTransient, true, "Graph failed without saying why", hintSupport, srcErrors},
	{"UnknownError", "serviceError", ClassTransient, true, "Graph failed without saying why", hintSupport, srcErrors},
}
