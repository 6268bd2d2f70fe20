package producer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Party is someone to call, or to call as: user:<object id>, phone:<E.164>,
// app:<application id> or instance:<object id of a resource account>.
type Party struct {
	Kind, ID string
}

// identities are Graph's names of the kinds.
var identities = map[string]string{
	"user": "user", "phone": "phone", "app": "application", "instance": "applicationInstance",
}

// ParseParty reads "kind:id". What the id must look like is checked with the
// command.
func ParseParty(text string) (Party, error) {
	kind, id, found := strings.Cut(text, ":")
	if !found || identities[kind] == "" || strings.TrimSpace(id) == "" {
		return Party{}, fmt.Errorf("%q names nobody: want user:<id>, phone:+<number>, app:<id> or instance:<id>", cut(text, 20))
	}
	return Party{Kind: kind, ID: strings.TrimSpace(id)}, nil
}

// Participant is the party as Graph's invitationParticipantInfo or
// participantInfo; the types that can be inferred are left out.
func (p Party) Participant() json.RawMessage {
	return marshal(map[string]any{"identity": p.identity()})
}

// TransferTarget is the party as the target of a transfer; replaces is the
// Graph call id of the consultation call, or empty. The endpointType is in
// every example of Microsoft Graph's page, call: transfer.
func (p Party) TransferTarget(replaces string) json.RawMessage {
	target := map[string]any{"endpointType": "default", "identity": p.identity()}
	if replaces != "" {
		target["replacesCallId"] = replaces
	}
	return marshal(target)
}

func (p Party) identity() map[string]any {
	return map[string]any{identities[p.Kind]: map[string]string{"@odata.type": "#microsoft.graph.identity", "id": p.ID}}
}
