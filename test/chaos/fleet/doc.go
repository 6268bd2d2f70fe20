// Package fleet runs the processes of a chaos run, and hurts them: workers,
// NATS servers and a simulated Graph, each a process of its own, with a TCP
// proxy in the way of every connection. Processes are killed, stopped and
// started again; proxies cut, delay and swallow what goes through them.
//
// Everything listens on loopback. It needs Linux: processes die with the one
// that started them, and whether one is stopped is read from /proc.
package fleet
