// Package msgraphsdk holds the simulated Graph to Microsoft's own client: its
// tests drive the simulator with the generated SDK. They are a module of their own,
// for the SDK takes minutes to build, and are run by hand.
package msgraphsdk
