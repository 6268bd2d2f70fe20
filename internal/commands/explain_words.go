package commands

const srcOwn = "callbus"

// ownRows are our own codes and reasons.
var ownRows = []row{
	{"invalid", "invalid", ClassInvalid, false, "the command is against the contract", "the message names each member and what is allowed; send a corrected command with a new id", srcOwn},
	{"unreadable", "unreadable", ClassInvalid, false, "the body is not one JSON object", "the dead letter holds the body as received", srcOwn},
	{"tooLarge", "tooLarge", ClassInvalid, false, "the body is larger than 64 KiB", "put media behind a URL", srcOwn},
	{"idConflict", "idConflict", ClassConflict, false, "the id was used for another command of this call", "give every command an id of its own", srcOwn},
	{"noSuchCall", "noSuchCall", ClassInvalid, false, "no call of this name was ever placed or bound", "place first, or bind the callRef with callId", srcOwn},
	{"callLives", "callLives", ClassConflict, true, "a call of this name is still up", "hang it up first, or use another callRef", srcOwn},
	{"callOwned", "callOwned", ClassConflict, false, "the call belongs to another producer or callRef", "", srcOwn},
	{"tenantNotServed", "tenantNotServed", ClassInvalid, false, "the deployment does not serve this tenant", "add it with --tenant", srcOwn},
	{"tenantMismatch", "tenantMismatch", ClassInvalid, false, "the command's tenant is not the call's tenant", "leave tenantId out", srcOwn},
	{"phoneNotAllowed", "phoneNotAllowed", ClassInvalid, false, "the deployment may not dial this number", "the operator allows prefixes with --allow-phone", srcOwn},
	{"callEnded", "callEnded", ClassGone, false, "the call has ended; nothing was sent", "", srcOwn},
	{"neverPlaced", "neverPlaced", ClassGone, false, "the call was never placed", "", srcOwn},
	{"alreadyEnded", "alreadyEnded", ClassGone, false, "the call had ended before", "", srcOwn},
	{"endedUnseen", "unseen", ClassAmbiguous, false, "the call ended without any notification of how", "check that Microsoft reaches the callback URL; the call may have rung or been answered", srcOwn},
	{"unknown", "unknown", ClassAmbiguous, false, "Graph may or may not have done it, and no way to find out is left", "look at the dead letter before sending it again: it may happen twice", srcOwn},
	{"expired", "expired", ClassTransient, true, "the command was not sent before its expiresAt", "look at queue age and throttling, or give it more time", srcOwn},
	{"orphan", "orphan", ClassAmbiguous, false, "a call turned up that nobody wants any more, and was hung up", "", srcOwn},
	{"callNotReady", "callNotReady", ClassConflict, true, "the command waits until the call is ready for it", "", srcOwn},
	{"throttled", "throttled", ClassThrottled, true, "Graph's throttling holds the command back", "", srcOwn},
	{"liveCalls", "liveCalls", ClassQuota, true, "the command waits for one of the live calls to end", "", srcOwn},
	{"monthlyCalls", "monthlyCalls", ClassQuota, true, "the month's calls are used up", "", srcOwn},
	{"breaker", "breaker", ClassTransient, true, "Graph fails too often, requests pause", "", srcOwn},
	{"paused", "paused", ClassConfiguration, true, "an operator paused sending", "its operator releases it", srcOwn},
	{"notBefore", "notBefore", ClassConflict, true, "the command waits for its notBefore", "", srcOwn},
	{"internal", "internal", ClassInternal, true, "a fault of callbus itself", "the worker's log says more under the command's id", srcOwn},
}
