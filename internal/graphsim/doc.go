// Package graphsim is a simulated Microsoft Graph calls API, in a process of its
// own or inside another: the 23 method and route pairs of the application
// permission Calls.Initiate.All (13 under /v1.0/communications/calls, 10 under
// /v1.0/app/calls), the calls behind them with their states, participants and
// operations, the signed notifications they cause, the OAuth token endpoint that
// azidentity needs, the documented limits, and faults on demand. Shapes and codes
// follow Microsoft's pages "application: Create call", "call: …", "commsOperation
// resource type" and "Microsoft Graph throttling guidance", and where these are
// silent what was seen on the wire.
//
// # Who is called decides what happens
//
// The last three digits of the target's id or number choose the callee's behaviour
// (of a meeting: those of its organizer's id):
//
//	…486  busy: terminated 486/560486 (phone) or 486/0, after AnswerAfter
//	…603  declines: terminated 603/0 (phone) or 487/10024, after AnswerAfter
//	…487  does not answer: terminated 487/10004 after RingTimeout
//	…480  unreachable: terminated 480/10037 at once
//	…500  the bot's media fails: terminated 500/1005 after AnswerAfter
//	…777  answers and starts to share content
//	…333  answers and hangs up after HangupAfter
//	…408  answers, and its audio never becomes active
//	…444  answers and hangs up at once, before its audio becomes active
//	…660  is answered by voicemail, which looks like any answer
//	else  answers after AnswerAfter
//
// A group call is established when one target answers; with none it ends 200/5003,
// or 200/5012 after RingTimeout if one was still ringing. A transfer to a target
// that would not answer fails: the call is established again with 500/7000, or
// 500/7700 if the transfer was consultative. A redirect to such targets ends the
// call with the target's code.
//
// A prompt whose path contains "missing" fails with 8536, one that does not end
// in .wav with 8535; every other completes after PromptDuration.
//
// # What Microsoft leaves open
//
// Participants of a peer-to-peer call are an empty list, as was seen. A
// consultative transfer ends both legs. Operations that are open when their call
// ends are never reported. An ended call is 404/8522 at once.
package graphsim
