// Package ports keeps ports on loopback free for servers that listen later, and
// again after a restart: for tests, and for what starts whole clusters.
package ports
