package commands

// transferShape (Microsoft Graph, call: transfer): transferee only when the
// transfer is out of a group call, replacesCallId in the target makes it
// consultative. clientContext is in the page's third and fourth example though
// the schema does not declare it.
var transferShape = &shape{
	fields: map[string]field{
		"transferTarget": {kind: object, needed: true, shapes: []*shape{invitationShape}},
		"transferee":     {kind: object, shapes: []*shape{participantInfoShape}},
		"clientContext":  clientContext,
	},
}

func (d *decoder) transfer(parameters map[string]any) {
	target, isTarget := d.party("parameters.transferTarget", parameters["transferTarget"])
	moved, isMoved := d.party("parameters.transferee", parameters["transferee"])
	switch {
	case isMoved && moved.kind == "phone":
		d.add("parameters.transferee.identity.phone", "cannot be transferred", "a user of the group call")
	case isMoved && isTarget && moved == target:
		d.add("parameters.transferee", "is the same identity as transferTarget", "two different identities")
	}
}
