package commands

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// text of n characters, each of two bytes.
func long(n int) string { return strings.Repeat("é", n) }

func token(n int) string { return strings.Repeat("a", n) }

func prompts(n int) string {
	return `{"prompts":` + list(n, func(int) string { return `{"mediaInfo":{"uri":"https://cdn.contoso.com/a.wav"}}` }) + `}`
}

func prompt(mediaInfo string) string { return params(`{"prompts":[{"mediaInfo":` + mediaInfo + `}]}`) }

func metadata(n int) string {
	return envelope(`"metadata":{` + strings.Join(repeat(n, func(i int) string { return fmt.Sprintf(`"k%d":"v"`, i) }), ",") + `}`)
}

// instance is a source that may call phones.
const instanceSource = `"source":{"identity":{"applicationInstance":{"id":"3d91"}}}`

func place(members string) string { return params(`{` + members + `}`) }

func toUser(members string) string { return params(`{"targets":` + users(1) + `,` + members + `}`) }

func dial(number string) string {
	return params(`{"targets":[` + phone(number) + `],"tenantId":"t",` + instanceSource + `}`)
}

// The contract, row by row: what is refused, which member the error names and
// what it says is allowed; and beside each bound what is still accepted, with
// no member.
var contract = []struct {
	sentence string
	action   Action
	body     string
	member   string
	allowed  string
}{
	// The envelope.
	{"id is required", Hangup, `{}`, "id", "1 to 128 of A-Z a-z 0-9 _ -"},
	{"id of 1 character", Hangup, `{"id":"a"}`, "", ""},
	{"id of 128 characters", Hangup, `{"id":"` + token(128) + `"}`, "", ""},
	{"id of 129 characters", Hangup, `{"id":"` + token(129) + `"}`, "id", "1 to 128"},
	{"id that is empty", Hangup, `{"id":""}`, "id", "1 to 128"},
	{"id that is reserved", Hangup, `{"id":"_1"}`, "id", `not beginning with "_"`},
	{"id with an inner underscore", Hangup, `{"id":"a_1"}`, "", ""},
	{"id with a dot", Hangup, `{"id":"a.b"}`, "id", "A-Z a-z 0-9 _ -"},
	{"id that is a number", Hangup, `{"id":7}`, "id", "1 to 128"},
	{"id that is null", Hangup, `{"id":null}`, "id", "1 to 128"},
	{"id given twice", Hangup, `{"id":"a","id":"a"}`, "id", "each member once"},
	{"a parameter given twice", Mute, params(`{"clientContext":"a","clientContext":"a"}`), "parameters.clientContext", "each member once"},
	{"an unknown member", Hangup, envelope(`"parameter":{}`), "parameter", "one of callId, expiresAt, id"},
	{"a member in another case", Hangup, envelope(`"Wait":"none"`), "Wait", "wait"},
	{"wait none", Hangup, envelope(`"wait":"none"`), "", ""},
	{"wait turn", Hangup, envelope(`"wait":"turn"`), "", ""},
	{"wait in a word of its own", Hangup, envelope(`"wait":"soon"`), "wait", "one of ready, none, turn"},
	{"onUnknown in a word of its own", Place, envelope(`"onUnknown":"maybe"`), "onUnknown", "one of fail, retry"},
	{"onUnknown fail for anything", Hangup, envelope(`"onUnknown":"fail"`), "", ""},
	{"onUnknown retry for what is idempotent", Hangup, envelope(`"onUnknown":"retry"`), "onUnknown", "only place, playPrompt, transfer, redirect"},
	{"onUnknown retry for a prompt", PlayPrompt, envelope(`"onUnknown":"retry","parameters":` + prompts(1)), "", ""},
	{"an optional member that is null", Hangup, envelope(`"callId":null`), "callId", "a Graph call id"},

	{"expiresAt that is no time", Hangup, envelope(`"expiresAt":"tomorrow"`), "expiresAt", "RFC 3339"},
	{"expiresAt without a zone", Hangup, envelope(`"expiresAt":"2026-11-23T10:05:00"`), "expiresAt", "RFC 3339"},
	{"expiresAt as a number", Hangup, envelope(`"expiresAt":1764000000`), "expiresAt", "RFC 3339"},
	{"expiresAt in year one", Hangup, envelope(`"expiresAt":"0001-01-01T00:00:00Z"`), "expiresAt", "RFC 3339"},
	{"expiresAt 72 hours after publishing", Hangup, envelope(`"expiresAt":"2026-11-26T10:00:00Z"`), "", ""},
	{"expiresAt 72 hours and a second after", Hangup, envelope(`"expiresAt":"2026-11-26T10:00:01Z"`), "expiresAt", "at most 72 hours after publishing"},
	{"expiresAt that has passed is no mistake", Hangup, envelope(`"expiresAt":"2026-11-23T09:00:00Z"`), "", ""},
	{"notBefore that is no time", Hangup, envelope(`"notBefore":"10:00"`), "notBefore", "RFC 3339"},
	{"notBefore a second before expiresAt", Hangup, envelope(`"notBefore":"2026-11-23T10:04:59Z","expiresAt":"2026-11-23T10:05:00Z"`), "", ""},
	{"notBefore at expiresAt", Hangup, envelope(`"notBefore":"2026-11-23T10:05:00Z","expiresAt":"2026-11-23T10:05:00Z"`), "notBefore", "earlier than expiresAt"},
	{"notBefore just within 72 hours", Place, envelope(`"notBefore":"2026-11-26T09:59:59Z","parameters":{"targets":` + users(1) + `}`), "", ""},
	{"notBefore 72 hours after publishing", Hangup, envelope(`"notBefore":"2026-11-26T10:00:00Z"`), "notBefore", "less than 72 hours"},

	{"16 metadata", Hangup, metadata(16), "", ""},
	{"17 metadata", Hangup, metadata(17), "metadata", "at most 16"},
	{"metadata of 256 characters", Hangup, envelope(`"metadata":{"` + long(256) + `":"` + long(256) + `"}`), "", ""},
	{"metadata of 257 characters", Hangup, envelope(`"metadata":{"k":"` + long(257) + `"}`), "metadata.k", "at most 256"},
	{"metadata name of 257 characters", Hangup, envelope(`"metadata":{"` + long(257) + `":"v"}`), "metadata", "1 to 256"},
	{"metadata without a name", Hangup, envelope(`"metadata":{"":"v"}`), "metadata", "1 to 256"},
	{"metadata that is a number", Hangup, envelope(`"metadata":{"k":1}`), "metadata.k", "a text of at most 256"},
	{"metadata as a list", Hangup, envelope(`"metadata":[]`), "metadata", "an object of texts"},

	{"replyTo an inbox", Hangup, envelope(`"replyTo":"_INBOX.x"`), "", ""},
	{"replyTo the producer's private inbox", Hangup, envelope(`"replyTo":"_INBOX_crm.x.y"`), "", ""},
	{"replyTo the producer's replies", Hangup, envelope(`"replyTo":"calls.replies.crm.x"`), "", ""},
	{"replyTo another producer's inbox", Hangup, envelope(`"replyTo":"_INBOX_erp.x"`), "replyTo", "_INBOX_crm., calls.replies.crm."},
	{"replyTo another producer's replies", Hangup, envelope(`"replyTo":"calls.replies.erp.x"`), "replyTo", "one of _INBOX."},
	{"replyTo another prefix", Hangup, envelope(`"replyTo":"staging.replies.crm.x"`), "replyTo", "one of _INBOX."},
	{"replyTo a stream", Hangup, envelope(`"replyTo":"calls.commands.crm.x.place"`), "replyTo", "one of _INBOX."},
	{"replyTo the bare prefix", Hangup, envelope(`"replyTo":"_INBOX."`), "replyTo", "one of _INBOX."},
	{"replyTo with a star", Hangup, envelope(`"replyTo":"_INBOX.*"`), "replyTo", "one of _INBOX."},
	{"replyTo with a full wildcard", Hangup, envelope(`"replyTo":"_INBOX.>"`), "replyTo", "one of _INBOX."},
	{"replyTo with a space", Hangup, envelope(`"replyTo":"_INBOX.a b"`), "replyTo", "one of _INBOX."},
	{"replyTo with an empty token", Hangup, envelope(`"replyTo":"_INBOX.a..b"`), "replyTo", "one of _INBOX."},
	{"replyTo of 256 characters", Hangup, envelope(`"replyTo":"_INBOX.` + token(249) + `"`), "", ""},
	{"replyTo of 257 characters", Hangup, envelope(`"replyTo":"_INBOX.` + token(250) + `"`), "replyTo", "1 to 256"},

	{"limits of a second", Place, envelope(`"limits":{"ringSeconds":1,"callSeconds":1},"parameters":{"targets":` + users(1) + `}`), "", ""},
	{"the largest limits", Place, envelope(`"limits":{"ringSeconds":600,"callSeconds":86400},"parameters":{"targets":` + users(1) + `}`), "", ""},
	{"ringSeconds of 0", Place, envelope(`"limits":{"ringSeconds":0}`), "limits.ringSeconds", "from 1 to 600"},
	{"ringSeconds of 601", Place, envelope(`"limits":{"ringSeconds":601}`), "limits.ringSeconds", "from 1 to 600"},
	{"callSeconds of 86401", Place, envelope(`"limits":{"callSeconds":86401}`), "limits.callSeconds", "from 1 to 86400"},
	{"callSeconds of -1", Place, envelope(`"limits":{"callSeconds":-1}`), "limits.callSeconds", "from 1 to 86400"},
	{"a fraction of a second", Place, envelope(`"limits":{"callSeconds":1.5}`), "limits.callSeconds", "a whole number"},
	{"an unknown limit", Place, envelope(`"limits":{"seconds":1}`), "limits.seconds", "one of callSeconds, ringSeconds"},
	{"limits without place", Mute, envelope(`"limits":{"callSeconds":1}`), "limits", "only with place"},

	{"callId as a GUID", Hangup, envelope(`"callId":"2e1a0b00-2db4-4022-9570-243709c565ab"`), "", ""},
	{"callId of 128 characters", Hangup, envelope(`"callId":"` + token(128) + `"`), "", ""},
	{"callId of 129 characters", Hangup, envelope(`"callId":"` + token(129) + `"`), "callId", "1 to 128"},
	{"callId with a slash", Hangup, envelope(`"callId":"a/b"`), "callId", "A-Z a-z 0-9 _ -"},
	{"callId that climbs", Hangup, envelope(`"callId":".."`), "callId", "A-Z a-z 0-9 _ -"},
	{"callId with place", Place, envelope(`"callId":"ab","parameters":{"targets":` + users(1) + `}`), "callId", "it left out"},
	{"keepAlive with callId", Mute, envelope(`"callId":"ab","keepAlive":true`), "", ""},
	{"keepAlive without callId", Mute, envelope(`"keepAlive":true`), "keepAlive", "callId beside it"},
	{"keepAlive as a text", Mute, envelope(`"callId":"ab","keepAlive":"true"`), "keepAlive", "true or false"},
	{"tenantId as a domain name", Hangup, envelope(`"tenantId":"contoso.onmicrosoft.com"`), "", ""},
	{"tenantId with a slash", Hangup, envelope(`"tenantId":"a/b"`), "tenantId", "GUID or domain name"},
	{"tenantId that is empty", Hangup, envelope(`"tenantId":""`), "tenantId", "GUID or domain name"},

	// Actions without parameters.
	{"hangup with an empty object", Hangup, params(`{}`), "", ""},
	{"hangup with null", Hangup, params(`null`), "", ""},
	{"hangup with a parameter", Hangup, params(`{"reason":"x"}`), "parameters.reason", "no members"},
	{"keepAlive with a list", KeepAlive, params(`[]`), "parameters", "nothing, or an empty object"},
	{"getCall with a parameter", GetCall, params(`{"select":"id"}`), "parameters.select", "no members"},
	{"listContentSharingSessions with a parameter", ListContentSharingSessions, params(`{"top":1}`), "parameters.top", "no members"},

	// Reads with parameters.
	{"top of 1", ListParticipants, params(`{"top":1}`), "", ""},
	{"top of 1000", ListParticipants, params(`{"top":1000}`), "", ""},
	{"top of 0", ListParticipants, params(`{"top":0}`), "parameters.top", "from 1 to 1000"},
	{"top of 1001", ListParticipants, params(`{"top":1001}`), "parameters.top", "from 1 to 1000"},
	{"top as a text", ListParticipants, params(`{"top":"5"}`), "parameters.top", "from 1 to 1000"},
	{"skipToken that is empty", ListParticipants, params(`{"skipToken":""}`), "parameters.skipToken", "1 to 4096"},
	{"skipToken of 4096 characters", ListParticipants, params(`{"skipToken":"` + token(4096) + `"}`), "", ""},
	{"skipToken of 4097 characters", ListParticipants, params(`{"skipToken":"` + token(4097) + `"}`), "parameters.skipToken", "1 to 4096"},
	{"skip", ListParticipants, params(`{"skip":1}`), "parameters.skip", "one of skipToken, top"},
	{"no session", GetContentSharingSession, `{"id":"c1"}`, "parameters.contentSharingSessionId", "the id of a content sharing session"},
	{"a session of 64 hex digits", GetContentSharingSession, params(`{"contentSharingSessionId":"` + strings.Repeat("aF", 32) + `"}`), "", ""},
	{"a session that climbs", GetContentSharingSession, params(`{"contentSharingSessionId":"../x"}`), "parameters.contentSharingSessionId", "the id of a content"},
	{"a session of 257 characters", GetContentSharingSession, params(`{"contentSharingSessionId":"` + token(257) + `"}`), "parameters.contentSharingSessionId", "the id of a content"},

	// Media operations.
	{"mute without parameters", Mute, `{"id":"c1"}`, "", ""},
	{"clientContext of 256 characters", Mute, params(`{"clientContext":"` + long(256) + `"}`), "", ""},
	{"clientContext of 257 characters", Mute, params(`{"clientContext":"` + long(257) + `"}`), "parameters.clientContext", "0 to 256"},
	{"clientContext of unmute", Unmute, params(`{"clientContext":"` + long(257) + `"}`), "parameters.clientContext", "0 to 256"},
	{"clientContext of cancelMediaProcessing", CancelMediaProcessing, params(`{"clientContext":"` + long(257) + `"}`), "parameters.clientContext", "0 to 256"},
	{"clientContext of playPrompt", PlayPrompt, params(`{"clientContext":"` + long(257) + `",` + prompts(1)[1:]), "parameters.clientContext", "0 to 256"},
	{"clientContext of transfer", Transfer, params(`{"clientContext":"` + long(257) + `","transferTarget":` + user("u") + `}`), "parameters.clientContext", "0 to 256"},
	{"an unknown parameter of mute", Mute, params(`{"participant":"x"}`), "parameters.participant", "one of clientContext"},

	// playPrompt.
	{"1 prompt", PlayPrompt, params(prompts(1)), "", ""},
	{"20 prompts", PlayPrompt, params(prompts(20)), "", ""},
	{"21 prompts", PlayPrompt, params(prompts(21)), "parameters.prompts", "1 to 20"},
	{"no prompts", PlayPrompt, params(prompts(0)), "parameters.prompts", "1 to 20"},
	{"playPrompt without parameters", PlayPrompt, `{"id":"c1"}`, "parameters.prompts", "1 to 20"},
	{"prompts that are null", PlayPrompt, params(`{"prompts":null}`), "parameters.prompts", "1 to 20"},
	{"a prompt without mediaInfo", PlayPrompt, params(`{"prompts":[{}]}`), "parameters.prompts[0].mediaInfo", "an object with resourceId, uri"},
	{"a prompt of null", PlayPrompt, params(`{"prompts":[null]}`), "parameters.prompts[0]", "an object with mediaInfo"},
	{"a prompt without uri", PlayPrompt, prompt(`{}`), "parameters.prompts[0].mediaInfo.uri", "http or https URL"},
	{"a prompt by http", PlayPrompt, prompt(`{"uri":"http://h/a.wav"}`), "", ""},
	{"a prompt by ftp", PlayPrompt, prompt(`{"uri":"ftp://h/a.wav"}`), "parameters.prompts[0].mediaInfo.uri", "http or https URL"},
	{"a prompt without host", PlayPrompt, prompt(`{"uri":"https:///a.wav"}`), "parameters.prompts[0].mediaInfo.uri", "http or https URL"},
	{"a prompt that is a path", PlayPrompt, prompt(`{"uri":"a.wav"}`), "parameters.prompts[0].mediaInfo.uri", "http or https URL"},
	{"a prompt with loop, which is beta", PlayPrompt, params(`{"loop":true,` + prompts(1)[1:]), "parameters.loop", "one of clientContext, prompts"},
	{"a prompt of a wrong type", PlayPrompt, params(`{"prompts":[{"@odata.type":"#microsoft.graph.ttsPrompt"}]}`), "parameters.prompts[0].@odata.type", "#microsoft.graph.mediaPrompt"},
	{"mediaInfo with an unknown member", PlayPrompt, prompt(`{"uri":"https://h/a.wav","loop":2}`), "parameters.prompts[0].mediaInfo.loop", "one of resourceId, uri"},

	// place: whom.
	{"place without parameters", Place, `{"id":"c1"}`, "parameters.targets", "1 to 5 targets, or meetingInfo"},
	{"1 target", Place, place(`"targets":` + users(1)), "", ""},
	{"5 targets", Place, place(`"targets":` + users(5)), "", ""},
	{"6 targets", Place, place(`"targets":` + users(6)), "parameters.targets", "1 to 5 targets, or meetingInfo"},
	{"0 targets", Place, place(`"targets":[]`), "parameters.targets", "1 to 5 targets"},
	{"an application as the only target", Place, place(`"targets":[{"identity":{"application":{"id":"a"}}}]`), "", ""},
	{"a user and an application", Place, place(`"targets":[` + user("u") + `,{"identity":{"application":{"id":"a"}}}]`), "parameters.targets", "users only, or one target"},
	{"a user and a phone", Place, place(`"targets":[` + user("u") + `,` + phone("+12345678901") + `]`), "parameters.targets", "users only, or one target"},
	{"the same user twice", Place, place(`"targets":[` + user("u") + `,` + user("U") + `]`), "parameters.targets[1]", "each identity once"},
	{"a target without identity", Place, place(`"targets":[{}]`), "parameters.targets[0].identity", "an object with application"},
	{"a target that is nobody", Place, place(`"targets":[{"identity":{}}]`), "parameters.targets[0].identity", "exactly one of user, phone"},
	{"a target that is null and someone", Place, place(`"targets":[{"identity":{"phone":null,"user":{"id":"u"}}}]`), "", ""},
	{"a target that is two", Place, place(`"targets":[{"identity":{"user":{"id":"u"},"guest":{"id":"g"}}}]`), "parameters.targets[0].identity", "exactly one"},
	{"a target without id", Place, place(`"targets":[{"identity":{"user":{"displayName":"x"}}}]`), "parameters.targets[0].identity.user.id", "who is meant"},
	{"a target as a text", Place, place(`"targets":[{"identity":{"user":"u"}}]`), "parameters.targets[0].identity.user", `{"id": …}`},
	{"a Phone in capitals", Place, place(`"targets":[{"identity":{"Phone":{"id":"+12345678901"}}}]`), "parameters.targets[0].identity.Phone", "phone"},
	{"a phone number as a user", Place, place(`"targets":[` + user("+12345678901") + `]`), "parameters.targets[0].identity.user.id", "phone"},
	{"a phone number as a tel URI", Place, place(`"targets":[` + user("tel:+12345678901") + `]`), "parameters.targets[0].identity.user.id", "phone"},
	{"a phone number as the service spells it", Place, place(`"targets":[` + user("4:+12345678901") + `]`), "parameters.targets[0].identity.user.id", "phone"},
	{"an identity of a wrong type", Place, place(`"targets":[{"identity":{"user":{"@odata.type":"#microsoft.graph.call","id":"u"}}}]`), "parameters.targets[0].identity.user.@odata.type", "#microsoft.graph.identity"},
	{"an identity of a derived type", Place, place(`"targets":[{"identity":{"@odata.type":"#microsoft.graph.communicationsIdentitySet","user":{"@odata.type":"#microsoft.graph.communicationsUserIdentity","id":"u"}}}]`), "", ""},
	{"an endpointType of its own", Place, place(`"targets":[{"endpointType":"fax","identity":{"user":{"id":"u"}}}]`), "parameters.targets[0].endpointType", "one of default, voicemail"},
	{"hidden as a text", Place, place(`"targets":[{"hidden":"no","identity":{"user":{"id":"u"}}}]`), "parameters.targets[0].hidden", "true or false"},
	{"targets as an object", Place, place(`"targets":{}`), "parameters.targets", "1 to 5 targets, or meetingInfo"},

	// place: phones.
	{"a phone of 7 digits", Place, dial("+1234567"), "", ""},
	{"a phone of 15 digits", Place, dial("+123456789012345"), "", ""},
	{"a phone of 6 digits", Place, dial("+123456"), "parameters.targets[0].identity.phone.id", `"+" and 7 to 15 digits`},
	{"a phone of 16 digits", Place, dial("+1234567890123456"), "parameters.targets[0].identity.phone.id", `"+" and 7 to 15 digits`},
	{"a phone without plus", Place, dial("12345678901"), "parameters.targets[0].identity.phone.id", `"+" and 7 to 15 digits`},
	{"a phone with spaces", Place, dial("+1 234 567 8901"), "parameters.targets[0].identity.phone.id", "no spaces"},
	{"a phone that begins with 0", Place, dial("+0123456789"), "parameters.targets[0].identity.phone.id", `"+" and 7 to 15 digits`},
	{"a phone without source", Place, place(`"tenantId":"t","targets":[` + phone("+12345678901") + `]`), "parameters.source.identity.applicationInstance.id", "object id of the resource account"},
	{"a phone from an application", Place, place(`"tenantId":"t","source":{"identity":{"application":{"id":"a"}}},"targets":[` + phone("+12345678901") + `]`), "parameters.source.identity.applicationInstance.id", "object id"},
	{"a phone without tenant", Place, place(instanceSource + `,"targets":[` + phone("+12345678901") + `]`), "parameters.tenantId", "which a call to a phone number needs"},
	{"a source without identity", Place, toUser(`"source":{}`), "parameters.source.identity", "an object with application"},

	// place: meetings.
	{"a meeting by organizer", Place, place(`"tenantId":"t","chatInfo":{"threadId":"19:x"},"meetingInfo":{"organizer":{"user":{"id":"o"}}}`), "", ""},
	{"a meeting by organizer without chat", Place, place(`"tenantId":"t","meetingInfo":{"organizer":{"user":{"id":"o"}}}`), "parameters.chatInfo.threadId", "the thread of the meeting's chat"},
	{"a meeting by organizer who is nobody", Place, place(`"tenantId":"t","chatInfo":{"threadId":"19:x"},"meetingInfo":{"organizer":{}}`), "parameters.meetingInfo.organizer.user.id", "object id of the meeting's organizer"},
	{"a meeting by id", Place, place(`"tenantId":"t","meetingInfo":{"joinMeetingId":"123","passcode":null}`), "", ""},
	{"a meeting by an empty id", Place, place(`"tenantId":"t","meetingInfo":{"joinMeetingId":""}`), "parameters.meetingInfo.joinMeetingId", "not empty"},
	{"a meeting by token", Place, place(`"tenantId":"t","meetingInfo":{"token":"x"}`), "", ""},
	{"a meeting by token with more", Place, place(`"tenantId":"t","meetingInfo":{"token":"x","url":"y"}`), "parameters.meetingInfo.url", "one of allowConversationWithoutHost, token"},
	{"a meeting by nothing", Place, place(`"tenantId":"t","meetingInfo":{}`), "parameters.meetingInfo", "organizer, joinMeetingId, token"},
	{"a meeting without tenant", Place, place(`"meetingInfo":{"joinMeetingId":"123"}`), "parameters.tenantId", "which joining a meeting needs"},
	{"a meeting and targets", Place, place(`"targets":` + users(1) + `,"meetingInfo":{"joinMeetingId":"123"}`), "parameters.targets", "either targets or meetingInfo"},
	{"chatInfo with an unknown member", Place, toUser(`"chatInfo":{"thread":"x"}`), "parameters.chatInfo.thread", "messageId, replyChainMessageId, threadId"},

	// place: the rest.
	{"two tenants", Place, envelope(`"tenantId":"a","parameters":{"tenantId":"b","targets":` + users(1) + `}`), "parameters.tenantId", "the same tenant"},
	{"tenantId as a number", Place, toUser(`"tenantId":5`), "parameters.tenantId", "GUID or domain name"},
	{"callbackUri", Place, toUser(`"callbackUri":"https://h/x"`), "parameters.callbackUri", "it left out"},
	{"callbackUri in small letters", Place, toUser(`"callbackuri":"https://h/x"`), "parameters.callbackuri", "callbackUri"},
	{"direction outgoing", Place, toUser(`"direction":"outgoing"`), "", ""},
	{"direction incoming", Place, toUser(`"direction":"incoming"`), "parameters.direction", "one of outgoing"},
	{"every modality", Place, toUser(`"requestedModalities":["audio","video","videoBasedScreenSharing","data"]`), "", ""},
	{"no modality", Place, toUser(`"requestedModalities":[]`), "parameters.requestedModalities", "at least 1"},
	{"a modality of its own", Place, toUser(`"requestedModalities":["audio","smell"]`), "parameters.requestedModalities[1]", "one of audio, video"},
	{"app-hosted media", Place, toUser(`"mediaConfig":{"blob":"x"}`), "", ""},
	{"app-hosted media without blob", Place, toUser(`"mediaConfig":{"@odata.type":"#microsoft.graph.appHostedMediaConfig"}`), "parameters.mediaConfig.blob", "not empty"},
	{"service-hosted media with a blob", Place, toUser(`"mediaConfig":{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig","blob":"x"}`), "parameters.mediaConfig.blob", "preFetchMedia"},
	{"media of a wrong type", Place, toUser(`"mediaConfig":{"@odata.type":"#microsoft.graph.otherMediaConfig"}`), "parameters.mediaConfig.@odata.type", "serviceHostedMediaConfig, #microsoft.graph.appHostedMediaConfig"},
	{"media of null", Place, toUser(`"mediaConfig":null,"requestedModalities":null`), "", ""},
	{"preFetchMedia without uri", Place, toUser(`"mediaConfig":{"preFetchMedia":[{"resourceId":"r"}]}`), "parameters.mediaConfig.preFetchMedia[0].uri", "http or https URL"},
	{"callOptions of another kind", Place, toUser(`"callOptions":{"@odata.type":"#microsoft.graph.incomingCallOptions"}`), "parameters.callOptions.@odata.type", "#microsoft.graph.outgoingCallOptions"},
	{"an unknown call option", Place, toUser(`"callOptions":{"record":true}`), "parameters.callOptions.record", "hideBotAfterEscalation"},
	{"a call option as a text", Place, toUser(`"callOptions":{"isDeltaRosterEnabled":"yes"}`), "parameters.callOptions.isDeltaRosterEnabled", "true or false"},
	{"a call of another type", Place, toUser(`"@odata.type":"#microsoft.graph.user"`), "parameters.@odata.type", "#microsoft.graph.call"},
	{"an annotation that is no text", Place, toUser(`"@odata.type":7`), "parameters.@odata.type", "a text"},
	{"an annotated list", Place, toUser(`"targets@odata.type":"#Collection(microsoft.graph.invitationParticipantInfo)"`), "", ""},
	{"a dynamic member of a call", Place, toUser(`"ringingTimeoutInSeconds":30`), "", ""},
	{"parameters as a text", Place, params(`"x"`), "parameters", "an object with callChainId"},

	// redirect.
	{"1 redirect target", Redirect, place(`"targets":` + users(1)), "", ""},
	{"25 redirect targets", Redirect, place(`"targets":` + users(25)), "", ""},
	{"26 redirect targets", Redirect, place(`"targets":` + users(26)), "parameters.targets", "1 to 25"},
	{"0 redirect targets", Redirect, place(`"targets":[]`), "parameters.targets", "1 to 25"},
	{"redirect without targets", Redirect, `{"id":"c1"}`, "parameters.targets", "1 to 25"},
	{"redirect to a phone needs no source", Redirect, place(`"targets":[` + phone("+12345678901") + `]`), "", ""},
	{"redirect to a user and a phone", Redirect, place(`"targets":[` + user("u") + `,` + phone("+12345678901") + `]`), "", ""},
	{"redirect to the same phone twice", Redirect, place(`"targets":[` + phone("+12345678901") + `,` + phone("+12345678901") + `]`), "parameters.targets[1]", "each identity once"},
	{"timeout of 15", Redirect, toUser(`"timeout":15`), "", ""},
	{"timeout of 90", Redirect, toUser(`"timeout":90`), "", ""},
	{"timeout of 14", Redirect, toUser(`"timeout":14`), "parameters.timeout", "from 15 to 90"},
	{"timeout of 91", Redirect, toUser(`"timeout":91`), "parameters.timeout", "from 15 to 90"},
	{"timeout of null", Redirect, toUser(`"timeout":null`), "", ""},
	{"redirect with callbackUri", Redirect, toUser(`"callbackUri":"https://h/x"`), "parameters.callbackUri", "it left out"},
	{"redirect with maskCallee, which is beta", Redirect, toUser(`"maskCallee":true`), "parameters.maskCallee", "one of routingPolicies, targets, timeout"},
	{"a routing policy of its own", Redirect, toUser(`"routingPolicies":["loud"]`), "parameters.routingPolicies[0]", "disableForwarding"},

	// transfer.
	{"transfer to a user", Transfer, params(`{"transferTarget":` + user("u") + `}`), "", ""},
	{"transfer to a phone", Transfer, params(`{"transferTarget":` + phone("+12345678901") + `}`), "", ""},
	{"transfer to a wrong number", Transfer, params(`{"transferTarget":` + phone("0123") + `}`), "parameters.transferTarget.identity.phone.id", `"+" and 7 to 15 digits`},
	{"transfer to nobody", Transfer, `{"id":"c1"}`, "parameters.transferTarget", "an object with endpointType"},
	{"transfer of a phone", Transfer, params(`{"transferTarget":` + user("u") + `,"transferee":` + phone("+12345678901") + `}`), "parameters.transferee.identity.phone", "a user of the group call"},
	{"transfer to oneself", Transfer, params(`{"transferTarget":` + user("u") + `,"transferee":` + user("u") + `}`), "parameters.transferee", "two different identities"},
	{"transferee without identity", Transfer, params(`{"transferTarget":` + user("u") + `,"transferee":{"participantId":"p"}}`), "parameters.transferee.identity", "an object with application"},
	{"replacesCallId that is empty", Transfer, params(`{"transferTarget":{"replacesCallId":"","identity":{"user":{"id":"u"}}}}`), "parameters.transferTarget.replacesCallId", "the id of a call"},
	{"transfer with an unknown parameter", Transfer, params(`{"target":` + user("u") + `}`), "parameters.target", "one of clientContext, transferTarget, transferee"},
}

func TestContract(t *testing.T) {
	for _, tt := range contract {
		t.Run(tt.sentence, func(t *testing.T) {
			_, err := Decode(testCall, tt.action, []byte(tt.body), testOptions)
			if tt.member == "" {
				if err != nil {
					t.Fatalf("Decode(%s) = %v; want no error", tt.body, err)
				}
				return
			}
			all, _ := errors.AsType[DecodeErrors](err)
			for _, problem := range all {
				if problem.Member == tt.member && strings.Contains(problem.Allowed, tt.allowed) {
					return
				}
			}
			t.Errorf("Decode(%s) = %v; want %s: … %s", tt.body, err, tt.member, tt.allowed)
		})
	}
}

func TestReadOnlyMembersAreRefused(t *testing.T) {
	for name, f := range callShape.fields {
		if f.kind != readOnly {
			continue
		}
		_, err := Decode(testCall, Place, []byte(toUser(`"`+name+`":null`)), testOptions)
		if err == nil || !strings.Contains(err.Error(), "parameters."+name+" is set by Microsoft Graph") {
			t.Errorf("Decode() with %s = %v; want it refused by name", name, err)
		}
	}
}

func TestTheAddressIsChecked(t *testing.T) {
	tests := []struct {
		sentence string
		call     CallKey
		action   Action
		member   string
	}{
		{"names at their bounds", CallKey{token(64), token(128)}, Hangup, ""},
		{"a producer of 65 characters", CallKey{token(65), "r"}, Hangup, "producer"},
		{"a reserved producer", CallKey{IncomingProducer, "r"}, Hangup, "producer"},
		{"no producer", CallKey{"", "r"}, Hangup, "producer"},
		{"a callRef of 129 characters", CallKey{"p", token(129)}, Hangup, "callRef"},
		{"a reserved callRef", CallKey{"p", "_r"}, Hangup, "callRef"},
		{"a callRef with a dot", CallKey{"p", "a.b"}, Hangup, "callRef"},
		{"an action of its own", CallKey{"p", "r"}, "dial", "action"},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			_, err := Decode(tt.call, tt.action, []byte(`{"id":"c1"}`), testOptions)
			if tt.member == "" && err == nil {
				return
			}
			if problem, ok := errors.AsType[*DecodeError](err); !ok || problem.Member != tt.member {
				t.Errorf("Decode() = %v; want %s refused", err, tt.member)
			}
		})
	}
}

func TestAnotherPrefixHasItsOwnReplies(t *testing.T) {
	opts := DecodeOptions{Prefix: "staging"}
	for subject, want := range map[string]bool{"staging.replies.crm.x": true, "calls.replies.crm.x": false} {
		cmd, err := Decode(testCall, Hangup, []byte(envelope(`"replyTo":"`+subject+`"`)), opts)
		if (err == nil) != want || (cmd.ReplyTo == subject) != want {
			t.Errorf("replyTo %s: Decode() = %q, %v; want accepted %t", subject, cmd.ReplyTo, err, want)
		}
	}
}
