package producer

import (
	"encoding/json"

	"callbus/internal/commands"
)

// Ending is what a stop came to for one call.
type Ending string

// The closed set of endings. The first three mean that the call is over.
const (
	HungUp      Ending = "hungUp"      // Graph has taken the hang-up
	NeverPlaced Ending = "neverPlaced" // it was kept from being placed
	AlreadyOver Ending = "alreadyOver" // it had ended
	NotKnown    Ending = "unknown"     // nobody knows whether there is a call
	NotDone     Ending = "failed"      // the hang-up ended in any other way
	NotStored   Ending = "notStored"   // the hang-up could not be published
	NoOutcome   Ending = "noOutcome"   // nothing final in time
)

// Endings lists them all, the good ones first.
var Endings = []Ending{HungUp, NeverPlaced, AlreadyOver, NotKnown, NotDone, NotStored, NoOutcome}

// Over tells whether the call is over for certain.
func (e Ending) Over() bool { return e == HungUp || e == NeverPlaced || e == AlreadyOver }

// endingOf reads the final record of a hang-up.
func endingOf(r commands.Result) Ending {
	var data struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(r.Data, &data) // a hang-up that was sent has none
	switch {
	case r.Status == commands.Succeeded && data.Reason == "neverPlaced":
		return NeverPlaced
	case r.Status == commands.Succeeded && data.Reason == "alreadyEnded":
		return AlreadyOver
	case r.Status == commands.Succeeded:
		return HungUp
	case r.Status == commands.Rejected && r.Error != nil && r.Error.Code == string(commands.CauseNoSuchCall):
		return NeverPlaced // its place was rejected before the hang-up came
	case r.Status == commands.Unknown:
		return NotKnown
	}
	return NotDone
}
