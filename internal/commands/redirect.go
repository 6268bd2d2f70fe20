package commands

// redirectShape (Microsoft Graph, call: redirect): up to 25 targets ring at
// once, the timeout is 15 to 90 seconds. routingPolicies is in the page's
// second and third example though not in the v1.0 schema. maskCallee,
// maskCaller and targetDisposition are beta only and refused by v1.0.
var redirectShape = &shape{
	fields: map[string]field{
		"targets":     {kind: objects, needed: true, min: 1, max: 25, shapes: []*shape{invitationShape}},
		"timeout":     {kind: whole, min: 15, max: 90},
		"callbackUri": {kind: workers},
		"routingPolicies": {kind: texts, enum: []string{
			"none", "noMissedCall", "disableForwardingExceptPhone", "disableForwarding", "preferSkypeForBusiness"}},
	},
}

func (d *decoder) redirect(parameters map[string]any) {
	d.parties("parameters.targets", parameters["targets"])
}
