// Package callbacks receives what Microsoft Graph tells about calls: it checks
// who sent a notification, reads it leniently, and stores it as an event
// before answering 202. What the events mean for a call is decided elsewhere;
// any replica may receive any notification.
//
// Facts about notifications come from Microsoft's pages "Create call",
// "call: playPrompt", "call: redirect", "call: transfer", "Delete call",
// "commsOperation resource type" and "Incoming call notifications" (Teams), and
// from the samples of the Graph communications SDK; the sample bodies are in
// testdata.
package callbacks
