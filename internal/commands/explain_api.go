package commands

const (
	srcSetup      = "Microsoft Teams, registering a calling bot; microsoft-graph-comms-samples issue 432"
	srcLimits     = "Microsoft Graph, throttling limits; microsoft-graph-comms-samples issue 385"
	srcOperations = "Microsoft Graph, call: cancelMediaProcessing and playPrompt"

	hintSetup   = "check that the app is registered as a calling bot and has the permission and an administrator's consent in the tenant"
	hintTenant  = "give the tenant the call takes place in as tenantId"
	hintState   = "let the call reach the state first, as wait \"ready\" does"
	hintAudio   = "the prompt must be a WAV file, mono, 16-bit, 16 kHz, at a URL that Microsoft can fetch"
	hintSupport = "give the request id to Microsoft's support if it stays"
)

// apiRows are the calling service's numeric codes, of errors and, from 85xx
// on, of operations' subcodes.
var apiRows = []row{
	{"7500", "notPermitted", ClassConfiguration, false, "the token's kind of identity is not supported", "use an app-only token", srcACS},
	{"7501", "notPermitted", ClassConfiguration, false, "the token is not valid", hintSetup, srcACS},
	{"7502", "notPermitted", ClassConfiguration, false, "access is not enabled", hintSetup, srcACS},
	{"7503", "notPermitted", ClassConfiguration, false, "the app is not registered as a calling bot", "register an Azure Bot for the app, add the Teams channel and enable calling", srcSetup},
	{"7504", "notPermitted", ClassConfiguration, false, "a permission or the admin consent is missing in the tenant", "grant Calls.Initiate.All and whatever else the call needs, and consent again in that tenant", srcACS},
	{"7505", "notPermitted", ClassConfiguration, false, "the token's tenant is not the call's tenant", hintTenant, srcACS},
	{"7507", "notPermitted", ClassConfiguration, false, "the source is not the app of the token", "link the resource account in source.identity.applicationInstance to the app", srcACS},

	{"8500", "badRequest", ClassInvalid, false, "the media mode is not valid", "check mediaConfig", srcACS},
	{"8501", "callNotReady", ClassConflict, true, "the call is not established", hintState, srcACS},
	{"8503", "callNotReady", ClassConflict, true, "the call's audio is not active yet", hintState, srcACS},
	{"8523", "badRequest", ClassInvalid, false, "an argument is not valid, or the call is a meeting, which cannot be transferred", "check the parameters", srcACS},
	{"8526", "badRequest", ClassInvalid, false, "the join token is not valid", "get a new join token", srcACS},
	{"8527", "badRequest", ClassInvalid, false, "the join URL is not valid", "check the join URL", srcACS},
	{"8561", "badRequest", ClassInvalid, false, "the meeting id is not valid", "check joinMeetingId and passcode", srcACS},
	{"8528", "callGone", ClassGone, false, "the call is terminated", "", srcACS},
	{"8585", "callNotReady", ClassConflict, true, "the action is not valid in the call's state", hintState, srcACS},
	{"8522", "callGone", ClassGone, false, "the call or participant does not exist, or has ended", "", srcKeepAlive},
	{"8520", "notSupported", ClassInvalid, false, "the action is not implemented", "", srcACS},
	{"8519", "conflict", ClassConflict, true, "another action on the call is in progress", "send it after the other has finished, as wait \"turn\" does", srcACS},
	{"8607", "conflict", ClassConflict, true, "a transfer is already in progress", "send it after the transfer has settled", srcACS},
	{"8583", "conflict", ClassConflict, false, "the call's media do not go with the action", "check mediaConfig: prompts need service-hosted media", srcACS},
	{"8516", "throttled", ClassThrottled, true, "the call is throttled", "slow down", srcACS},
	{"8529", "monthlyCalls", ClassQuota, true, "the app's calls of this month are used up", "wait for the month's reset, or ask Microsoft for more", srcLimits},
	{"8530", "liveCalls", ClassQuota, true, "too many calls of the app are up", "wait until calls end", srcLimits},
	{"9998", "serviceError", ClassTransient, true, "the calling service failed", "check the parameters: bodies it cannot read end like this; " + hintSupport, srcSamples},
	{"9999", "serviceError", ClassTransient, true, "the calling service failed", "check the parameters: bodies it cannot read end like this; " + hintSupport, srcSamples},
	{"9001", "serviceError", ClassTransient, true, "a service behind the calling service failed", hintSupport, srcACS},
	{"9002", "serviceError", ClassTransient, true, "a service behind the calling service did not answer in time", hintSupport, srcACS},
	{"9003", "serviceError", ClassTransient, true, "a service behind the calling service was cancelled", hintSupport, srcACS},

	{"8508", "mediaCancelled", ClassConflict, true, "the operation was cancelled", "", srcOperations},
	{"8509", "recordingEnded", ClassCallee, false, "the recording ended: stop tone", "", srcACS},
	{"8510", "recordingEnded", ClassCallee, false, "the recording ended: longest silence before speech", "", srcACS},
	{"8511", "promptFailed", ClassTransient, true, "the prompt could not be played", hintAudio, srcACS},
	{"8512", "promptFailed", ClassTransient, true, "the beep could not be played", "", srcACS},
	{"8513", "mediaTimeout", ClassTransient, true, "no media came in time", hintNetwork, srcACS},
	{"8514", "recordingEnded", ClassCallee, false, "the recording ended: longest silence", "", srcACS},
	{"8515", "recordingEnded", ClassCallee, false, "the recording ended: longest duration", "", srcACS},
	{"8521", "tooManyHops", ClassRefused, false, "the call was redirected too often", "look for redirects that point at each other", srcACS},
	{"8531", "recognitionFailed", ClassCallee, false, "recognition ended without a result", "", srcACS},
	{"8532", "recognitionFailed", ClassCallee, false, "recognition ended without a result", "", srcACS},
	{"8533", "recognitionFailed", ClassCallee, false, "recognition ended without a result", "", srcACS},
	{"8534", "recognitionFailed", ClassCallee, false, "recognition ended without a result", "", srcACS},
	{"8535", "mediaFormat", ClassInvalid, false, "the prompt's file format is not supported", hintAudio, srcACS},
	{"8536", "mediaDownload", ClassInvalid, false, "the prompt could not be downloaded", hintAudio, srcACS},
	{"8537", "keepAliveTimeout", ClassGone, false, "no keepAlive came for 45 minutes", "check that workers run and reach Graph", srcKeepAlive},
	{"8547", "recognitionFailed", ClassCallee, false, "recognition ended without a result", "", srcACS},
	{"8548", "notGroupCall", ClassRefused, false, "the call is no group call", "mute and unmute work in group calls and meetings only", srcACS},
	{"8549", "redirectFailed", ClassCallee, true, "the call could not be redirected", "check the targets and their tenant", srcACS},
	{"8550", "redirectFailed", ClassCallee, true, "the call could not be redirected", "check the targets and their tenant", srcACS},
	{"8551", "redirectFailed", ClassCallee, true, "the call could not be redirected", "check the targets and their tenant", srcACS},
	{"8555", "redirectFailed", ClassCallee, true, "the call could not be redirected", "check the targets and their tenant", srcACS},
	{"8566", "notPermitted", ClassRefused, false, "the meeting's policy does not let the bot unmute", "ask the organizer", srcACS},
	{"8572", "promptFailed", ClassTransient, true, "the service that plays prompts shut down", hintNetwork, srcACS},
	{"8586", "callbackSilent", ClassConfiguration, false, "the bot did not acknowledge the incoming call", "check that Microsoft reaches the callback URL", srcACS},
	{"8587", "noAnswer", ClassCallee, false, "the bot did not answer or redirect in time", "redirect within 15 seconds of the incoming event", srcACS},
	{"8610", "callbackSilent", ClassConfiguration, false, "the bot did not respond to a notification", "check that Microsoft reaches the callback URL", srcACS},
}
