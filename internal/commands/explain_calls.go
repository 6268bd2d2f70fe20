package commands

// Sources. Azure Communication Services is another product on the same calling
// back end; its subcodes agree with Graph's wherever both are known, so its
// meanings are taken as probable.
const (
	srcResultInfo = "Microsoft Graph, resultInfo"
	srcDelete     = "Microsoft Graph, call: delete"
	srcTransfer   = "Microsoft Graph, call: transfer"
	srcCall       = "Microsoft Graph, call: error codes of ended calls"
	srcKeepAlive  = "Microsoft Graph, call: keepAlive"
	srcACS        = "Azure Communication Services, call end response codes (probable for Graph)"
	srcSamples    = "microsoft-graph-comms-samples, issues 433 to 861"
	srcSIP        = "RFC 3261, SIP status codes"
)

const (
	hintLater   = "call again later"
	hintPolicy  = "whether to call again is the producer's policy"
	hintNetwork = "call again after a short pause, a few times at most"
	hintMedia   = "check certificate, ports and reachability of the media host of the app-hosted bot"
)

// callRows are resultInfos of ended calls and failed transfers, by code and
// subcode.
var callRows = []row{
	{"0/0", reasonEnded, ClassGone, false, "the call ended normally", "", srcCall},
	{"200/4097", reasonEnded, ClassGone, false, "the other side ended the call", "", srcDelete},
	{"200/4521", reasonEnded, ClassGone, false, "the other side ended the call", "", srcDelete},
	{"200/5000", reasonEnded, ClassGone, false, "another participant removed the bot", "", srcCall},
	{"200/5300", reasonEnded, ClassGone, false, "another participant removed the bot", "", srcCall},
	{"200/5001", reasonEnded, ClassGone, false, "the conversation ended", "", srcDelete},
	{"200/5003", reasonEnded, ClassGone, false, "the conversation ended; perhaps every endpoint declined", hintPolicy, srcACS},
	{"200/5002", reasonEnded, ClassGone, false, "nobody visible was left", "", srcCall},
	{"200/5010", reasonEnded, ClassGone, false, "only the bot was left", "", srcCall},
	{"200/5012", reasonEnded, ClassGone, false, "nobody else joined", "", srcCall},
	{"200/5013", reasonEnded, ClassGone, false, "only the bot was left", "", srcCall},
	{"200/5014", reasonEnded, ClassGone, false, "no host joined", "", srcCall},
	{"200/5020", reasonEnded, ClassGone, false, "nobody was left", "", srcCall},
	{"200/5007", reasonEnded, ClassGone, false, "the initiator of the group call left", "", srcCall},
	{"200/5030", reasonEnded, ClassGone, false, "the breakout room's time was over", "", srcCall},
	{"200/5855", reasonEnded, ClassGone, false, "nobody admitted the bot from the lobby", "ask the organizer to let the bot in, or to change the lobby's policy", srcCall},
	{"200/7000", reasonEnded, ClassGone, false, "the bot ended the call", "", srcCall},
	{"200/10550", reasonEnded, ClassGone, false, "the bot ended the call", "", srcCall},
	{"200/18503", reasonEnded, ClassGone, false, "the other side left", "", srcCall},
	{"200/540000", reasonEnded, ClassGone, false, "the phone user hung up", "", srcCall},
	{"200/560000", reasonEnded, ClassGone, false, "the phone user hung up", "", srcCall},
	{"0/7015", reasonTransferred, ClassGone, false, "the transfer is complete", "", srcTransfer},
	{"200/7015", reasonTransferred, ClassGone, false, "the transfer is complete", "", srcTransfer},

	{"400/2203", "badRequest", ClassInvalid, false, "the join was refused as a bad request", "check the meeting's coordinates", srcSamples},
	{"403/510403", "blocked", ClassRefused, false, "the call was blocked as spam", "clear the caller's number with the carrier", srcACS},
	{"408/1106", "unreachable", ClassTransient, true, "acceptance was not acknowledged in time", hintNetwork, srcCall},
	{"408/8537", "keepAliveTimeout", ClassGone, false, "no keepAlive came for 45 minutes", "check that workers run and reach Graph", srcKeepAlive},
	{"408/10057", "unreachable", ClassTransient, true, "no endpoint of the callee answered the signalling", hintNetwork, srcCall},
	{"408/13025", "unreachable", ClassTransient, true, "timeout without a documented meaning", hintNetwork, srcSamples},
	{"410/301004", "media", ClassTransient, true, "the media connection failed", hintNetwork, srcACS},
	{"410/301005", "media", ClassTransient, true, "the media connection failed", hintNetwork, srcCall},
	{"480/10037", "unreachable", ClassCallee, true, "no endpoint of the callee is registered", hintLater, srcCall},
	{"480/10076", "unreachable", ClassCallee, true, "the callee cannot be reached", hintLater, srcCall},
	{"480/10077", "unreachable", ClassCallee, true, "the callee is offline", hintLater, srcCall},
	{"480/10078", "unreachable", ClassCallee, true, "the callee cannot be reached", hintLater, srcACS},
	{"480/10134", "noRoute", ClassCallee, false, "there is no route to the callee", "check the target's id, account type and number", srcCall},
	{"480/10199", "notPermitted", ClassRefused, false, "private calling is disabled for the callee", "the callee's administrator can allow it in the calling policy", srcCall},
	{"486/560486", "busy", ClassCallee, true, "the phone is busy", hintLater, srcACS},
	{"487/0", "cancelled", ClassCallee, false, "the caller cancelled the call before it was answered", "", srcACS},
	{"487/540487", "cancelled", ClassCallee, false, "the caller cancelled the call before it was answered", "", srcACS},
	{"487/10003", "answeredElsewhere", ClassCallee, false, "the call was picked up elsewhere", "", srcACS},
	{"487/10004", "noAnswer", ClassCallee, true, "nobody answered in time, about two minutes", hintPolicy, srcACS},
	{"487/10024", "declined", ClassCallee, true, "every endpoint declined", hintPolicy, srcACS},
	{"500/1005", "media", ClassTransient, true, "the media connection to the bot failed", hintNetwork, srcCall},
	{"500/3002", "media", ClassConfiguration, false, "the media control channel to the app-hosted bot failed", hintMedia, srcSamples},
	{"500/3003", "media", ClassConfiguration, false, "the media control channel to the app-hosted bot failed", hintMedia, srcSamples},
	{"500/7106", "media", ClassConfiguration, false, "the media control channel to the app-hosted bot failed", hintMedia, srcSamples},
	{"500/7112", "media", ClassConfiguration, false, "the media control channel to the app-hosted bot failed", hintMedia, srcSamples},
	{"500/7117", "media", ClassTransient, true, "the media control channel to the app-hosted bot failed, as it does now and then", hintMedia, srcSamples},
	{"500/1203002", "media", ClassConfiguration, false, "the media control channel to the app-hosted bot failed", hintMedia, srcSamples},
	{"500/7000", "transferFailed", ClassCallee, true, "the transfer failed, the call is still up", hintPolicy, srcTransfer},
	{"500/7700", "transferFailed", ClassCallee, true, "the consultative transfer failed, the call is still up", hintPolicy, srcTransfer},
	{"603/0", "declined", ClassCallee, false, "the callee declined", hintPolicy, srcACS},
}

// generalRows are codes of a resultInfo whatever the subcode: SIP statuses.
var generalRows = []row{
	{"0", reasonEnded, ClassGone, false, "the call ended normally", "", srcResultInfo},
	{"200", reasonEnded, ClassGone, false, "the call ended normally", "", srcResultInfo},
	{"403", "notPermitted", ClassRefused, false, "the call is not allowed", "check calling policies, licences and the number's country", srcSIP},
	{"404", "notFound", ClassCallee, false, "the callee does not exist", "check the target's id or number", srcSIP},
	{"408", "noAnswer", ClassCallee, true, "the callee did not answer in time", hintLater, srcSIP},
	{"480", "unreachable", ClassCallee, true, "the callee cannot be reached now", hintLater, srcSIP},
	{"484", "notFound", ClassCallee, false, "the number is incomplete", "check the number: it must be E.164", srcSIP},
	{"486", "busy", ClassCallee, true, "the callee is busy", hintLater, srcSIP},
	{"487", "cancelled", ClassCallee, false, "the call was cancelled before it was answered", hintPolicy, srcSIP},
	{"488", "media", ClassCallee, false, "the callee cannot take this kind of media", "check requestedModalities", srcSIP},
	{"600", "busy", ClassCallee, true, "the callee is busy everywhere", hintLater, srcSIP},
	{"603", "declined", ClassCallee, false, "the callee declined", hintPolicy, srcSIP},
	{"604", "notFound", ClassCallee, false, "the callee does not exist anywhere", "check the target's id or number", srcSIP},
}
