package commands

const srcOwn = "callbus"

// ownRows are our own codes and reasons.
var ownRows = []row{
	// Of commands that are not taken.
	{"invalid", "invalid", ClassInvalid, false, "the command is against the contract", "the message names each member and what is allowed; send a corrected command with a new id", srcOwn},
	{"unreadable", "unreadable", ClassInvalid, false, "the body is not one JSON object; of an answer: it cannot be used, or is not Graph's", "the dead letter holds the body as received; of an answer: check --graph-url", srcOwn},
	{"tooLarge", "tooLarge", ClassInvalid, false, "the body is larger than 64 KiB", "put media behind a URL", srcOwn},
	{"idConflict", "idConflict", ClassConflict, false, "the id was used for another command of this call", "give every command an id of its own", srcOwn},
	{"noSuchCall", "noSuchCall", ClassInvalid, false, "no call of this name was ever placed or bound", "place first, or bind the callRef with callId", srcOwn},
	{"callLives", "callLives", ClassConflict, true, "a call of this name is still up", "hang it up first, or use another callRef", srcOwn},
	{"callOwned", "callOwned", ClassConflict, false, "the call belongs to another producer or callRef", "send commands under the name that claimed the call first", srcOwn},
	{"callIdMismatch", "callIdMismatch", ClassInvalid, false, "the callRef stands for another live call than the command's callId", "leave callId out, or use another callRef", srcOwn},
	{"tenantNotServed", "tenantNotServed", ClassInvalid, false, "the deployment does not serve this tenant", "add it with --tenant", srcOwn},
	{"tenantMismatch", "tenantMismatch", ClassInvalid, false, "the command's tenant is not the call's tenant", "leave tenantId out", srcOwn},
	{"phoneNotAllowed", "phoneNotAllowed", ClassInvalid, false, "the deployment may not dial this number", "the operator allows prefixes with --allow-phone", srcOwn},
	{"expired", "expired", ClassTransient, true, "the command was not sent before its expiresAt", "look at queue age and throttling, or give it more time", srcOwn},

	// Of calls and of what becomes of commands with them.
	{"callEnded", "callEnded", ClassGone, false, "the call has ended; nothing was sent, or it ended before the outcome was there", "place the call again if it is still wanted", srcOwn},
	{"neverPlaced", "neverPlaced", ClassGone, false, "the call was never placed", "", srcOwn},
	{"alreadyEnded", "alreadyEnded", ClassGone, false, "the call had ended before", "", srcOwn},
	{"hungUp", "hungUp", ClassGone, false, "a hang-up of ours came before the call was answered, or before the command was sent", "", srcOwn},
	{"ringSeconds", "ringSeconds", ClassGone, false, "the call was hung up because nobody answered within limits.ringSeconds", hintPolicy, srcOwn},
	{"callSeconds", "callSeconds", ClassGone, false, "the call was hung up after limits.callSeconds", "", srcOwn},
	{"maxCallDuration", "maxCallDuration", ClassGone, false, "the call was hung up after the deployment's --max-call-duration", "", srcOwn},
	{"AppTransferred", reasonTransferred, ClassGone, false, "the terminationReason of a call that was transferred away", "", srcTransfer},
	{"orphan", "orphan", ClassAmbiguous, false, "a call turned up that nobody wants any more, and was hung up", "", srcOwn},
	{"notified", "notified", ClassGone, false, "a notification proved that Graph has the call although the answer to its place was lost", "", srcOwn},
	{"unexplained", reasonOther, ClassCallee, false, "Graph gave no code", "the event's raw member holds all that Graph said", srcOwn},

	// Of outcomes that nobody knows.
	{"endedUnseen", "unseen", ClassAmbiguous, false, "the call ended without any notification of how", "check that Microsoft reaches the callback URL; the call may have rung or been answered", srcOwn},
	{"operationUnseen", "operationUnseen", ClassAmbiguous, false, "nothing was heard of the operation within --operation-timeout, and the call lives on", "ask the people concerned before doing it again", srcOwn},
	{"answerLost", "noProof", ClassAmbiguous, false, "the request was begun, its answer was lost, and nothing was heard of it in time", "ask the people concerned before doing it again; late proof is corrected in a further record", srcOwn},
	{"placeUnknown", "placeUnknown", ClassAmbiguous, false, "whether the call exists is not known", "it is hung up as soon as it shows, if that was wanted; else place it again under another callRef", srcOwn},
	{"unknown", "unknown", ClassAmbiguous, false, "Graph may or may not have done it, and no way to find out is left", "look at the dead letter before sending it again: it may happen twice", srcOwn},

	// Why a command waits.
	{"callNotReady", "callNotReady", ClassConflict, true, "the command waits until the call is ready for it", "", srcOwn},
	{"throttled", "throttled", ClassThrottled, true, "Graph's throttling holds the command back", "", srcOwn},
	{"liveCalls", "liveCalls", ClassQuota, true, "the command waits for one of the live calls to end", "", srcOwn},
	{"monthlyCalls", "monthlyCalls", ClassQuota, true, "the month's calls are used up", "", srcOwn},
	{"breaker", "breaker", ClassTransient, true, "Graph fails too often, requests pause", "", srcOwn},
	{"paused", "paused", ClassConfiguration, true, "an operator paused sending", "its operator releases it", srcOwn},
	{"notBefore", "notBefore", ClassConflict, true, "the command waits for its notBefore", "", srcOwn},

	// What a failed request comes down to, where Graph gave no code.
	{"tokenFailed", "tokenFailed", ClassConfiguration, true, "no token was to be had", "the operator checks the credential; the worker's log says more", srcOwn},
	{"connectFailed", "connectFailed", ClassTransient, true, "Graph could not be reached; nothing was sent", "the operator checks DNS, proxy and firewall", srcOwn},
	{"notReady", "notReady", ClassConflict, true, "the call was not in the state that the action needs", hintState, srcOwn},
	{"unavailable", "unavailable", ClassTransient, true, "Graph was not available", "", srcOwn},
	{"serverError", "serverError", ClassTransient, true, "Graph failed", hintSupport, srcOwn},
	{"lost", "lost", ClassAmbiguous, false, "the answer never came; the request may have been executed", hintLost, srcOwn},
	{"gatewayLost", "gatewayLost", ClassAmbiguous, false, "the answer was lost behind Graph's gateway; the request may have been executed", hintLost, srcOwn},
	{"guarded", "guarded", ClassTransient, true, "the worker stopped, or its lease was too short to send; another one does", "", srcOwn},
	{"internal", "internal", ClassInternal, true, "a fault of callbus itself", "the worker's log says more under the command's id", srcOwn},
}
