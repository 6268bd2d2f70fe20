// Package graph is the client of Microsoft Graph's cloud-communications calls
// API: the 23 method and route pairs that Calls.Initiate.All reaches, tokens
// for each tenant, and one typed error for whatever went wrong.
//
// It is a leaf and sends each request at most once: what to do after a failure
// is for the caller to say, because a repeated POST makes a phone ring twice.
// A request refused with 401 was certainly not executed and is sent once more,
// with another token.
//
// Error.Sent and Error.Definite tell how far a failed request can have got. They
// come from watching the connection: NotSent means that no byte of the request
// left this machine.
package graph
