// Package commands is the vocabulary of callbus: what producers and workers
// say to each other. It holds the thirteen actions, the command a producer
// publishes, the result and the event it gets back, the subjects all of them
// travel on, and the strict reading of what strangers send ([Decode]). What
// Graph's codes mean is a table here too ([Explain], [ExplainResult]), since
// results and events speak in its words. JSON Schemas of all of it are in api/;
// tests hold them and these types to each other.
//
// It is a leaf: it knows neither NATS nor Microsoft Graph's client.
package commands
