package commands

import (
	"maps"
	"slices"
	"strings"
)

// Microsoft Graph, identity and identitySet resource types: both are open.
// CSDL's identitySet declares application, device and user; the others belong
// to communicationsIdentitySet or ride along as dynamic members, which Graph
// can only read with their "@odata.type" (Microsoft Graph, call: transfer,
// example 3, sends it even where the neighbours do without).

const (
	identityName = "#microsoft.graph.identity"
	graphPrefix  = "#microsoft.graph."
)

// identityShape is an identity; derived types are named without the prefix.
func identityShape(derived ...string) *shape {
	s := &shape{
		name: identityName,
		open: true,
		fields: map[string]field{
			"id":          {kind: text},
			"displayName": {kind: text},
			"tenantId":    {kind: text},
		},
	}
	for _, name := range derived {
		s.derived = append(s.derived, graphPrefix+name)
	}
	return s
}

func identityField(derived ...string) field {
	return field{kind: object, shapes: []*shape{identityShape(derived...)}, want: "an identity like {\"id\": …}"}
}

var endpointTypes = []string{"default", "voicemail", "skypeForBusiness", "skypeForBusinessVoipPhone"}

var identitySetShape = &shape{
	name:    "#microsoft.graph.identitySet",
	derived: []string{"#microsoft.graph.communicationsIdentitySet"},
	open:    true,
	dynamic: identityShape(),
	fields: map[string]field{
		"application":                    identityField("communicationsApplicationIdentity", "teamworkApplicationIdentity"),
		"applicationInstance":            identityField("communicationsApplicationInstanceIdentity"),
		"assertedIdentity":               identityField(),
		"azureCommunicationServicesUser": identityField("azureCommunicationServicesUserIdentity"),
		"device":                         identityField(),
		"encrypted":                      identityField("communicationsEncryptedIdentity"),
		"endpointType":                   {kind: text, enum: endpointTypes},
		"guest":                          identityField("communicationsGuestIdentity"),
		"onPremises":                     identityField(),
		"phone":                          identityField("communicationsPhoneIdentity"),
		"user":                           identityField("communicationsUserIdentity", "userIdentity", "teamworkUserIdentity"),
	},
}

// Microsoft Graph, participantInfo: its members are read-only by the page, yet
// the page's own requests for PSTN calls send them as null.
var participantInfoShape = &shape{
	name: "#microsoft.graph.participantInfo",
	open: true,
	fields: map[string]field{
		"identity":      {kind: object, needed: true, shapes: []*shape{identitySetShape}},
		"countryCode":   {kind: text},
		"endpointType":  {kind: text, enum: endpointTypes},
		"languageId":    {kind: text},
		"participantId": {kind: text},
		"region":        {kind: text},
	},
}

// Microsoft Graph, invitationParticipantInfo; endpointType, languageId and
// region are dynamic and in the samples of call: transfer.
var invitationShape = &shape{
	name: "#microsoft.graph.invitationParticipantInfo",
	open: true,
	fields: map[string]field{
		"identity":                           {kind: object, needed: true, shapes: []*shape{identitySetShape}},
		"endpointType":                       {kind: text, enum: endpointTypes},
		"hidden":                             {kind: flag},
		"languageId":                         {kind: text},
		"participantId":                      {kind: text},
		"region":                             {kind: text},
		"removeFromDefaultAudioRoutingGroup": {kind: flag},
		"replacesCallId":                     {kind: text, min: 1, max: MaxID, check: segmentProblem, want: "the id of a call"},
	},
}

// party is the one identity of someone to be called or moved.
type party struct {
	kind string // the member of the identitySet: "user", "phone", …
	id   string
}

// party finds the only identity in an invitation or participantInfo and checks
// its id. It returns false when there is none, or more than one.
func (p *problems) party(path string, info any) (party, bool) {
	members, _ := info.(map[string]any)
	set, ok := members["identity"].(map[string]any)
	if !ok {
		return party{}, false // already reported
	}
	at := join(path, "identity")
	var kinds []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, ok := set[name].(map[string]any); ok {
			kinds = append(kinds, name)
		}
	}
	if len(kinds) != 1 {
		problem := "names nobody"
		if len(kinds) > 1 {
			problem = "names more than one identity"
		}
		p.add(at, problem, "exactly one of user, phone, application, applicationInstance or another identity")
		return party{}, false
	}
	kind := kinds[0]
	id, ok := set[kind].(map[string]any)["id"].(string)
	at = join(join(at, kind), "id")
	switch {
	case !ok || id == "":
		p.add(at, "is missing", "who is meant")
		return party{}, false
	case kind == "phone" && !IsPhone(id):
		p.add(at, "is not an E.164 number", `"+" and 7 to 15 digits, no spaces`)
		return party{}, false
	case kind != "phone" && looksDialled(id):
		// Otherwise --allow-phone could be talked around.
		p.add(at, "is a phone number", "it as the identity phone")
		return party{}, false
	}
	return party{kind, id}, true
}

// looksDialled recognises the ways in which the calling service spells phone
// numbers: E.164, tel: URIs and the "4:" prefix of its own identifiers.
func looksDialled(id string) bool {
	id = strings.ToLower(strings.TrimSpace(id))
	return strings.HasPrefix(id, "+") || strings.HasPrefix(id, "tel:") || strings.HasPrefix(id, "4:")
}

// parties checks a list of targets: each one identity, none twice (Microsoft
// Graph, call: the same identity cannot be invited more than once).
func (p *problems) parties(path string, targets any) []party {
	list, _ := targets.([]any)
	var all []party
	seen := map[party]int{}
	for i, target := range list {
		at := path + index(i)
		who, ok := p.party(at, target)
		if !ok {
			continue
		}
		same := party{who.kind, strings.ToLower(who.id)}
		if first, ok := seen[same]; ok {
			p.add(at, "is the same identity as "+path+index(first), "each identity once")
			continue
		}
		seen[same] = i
		all = append(all, who)
	}
	return all
}
