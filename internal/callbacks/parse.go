package callbacks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"callbus/internal/commands"

	"golang.org/x/text/encoding/charmap"
)

// Notification is one value of a notification body, in our words.
type Notification struct {
	Kind       commands.Kind
	ChangeType string // created, updated or deleted
	CallID     string // as Graph wrote it; empty when nothing tells

	// Of a call; Graph sends the members that changed.
	State             string // a deleted call is "terminated", whatever it says
	Direction         string // incoming, outgoing or ""
	TenantID          string
	CallChainID       string
	ResultInfo        *commands.ResultInfo
	TerminationReason string
	AudioActive       *bool
	AnsweredBy        json.RawMessage
	Instances         []string // resource accounts that were called, by object id

	Operation    *commands.Operation
	Participants *int // of a full roster

	Raw json.RawMessage // the value as received, in UTF-8
}

// MaxValues is how many notifications one body may hold. Documented bodies hold
// one; each is stored by itself, all of them within one StoreTimeout.
const MaxValues = 1000

var errTooMany = fmt.Errorf("body holds too many notifications: want at most %d", MaxValues)

// Parse reads a notification body. It fails only when there is no JSON, or nothing
// in it that could be notifications, or more than MaxValues; what it does not recognise comes back as kind
// other, for a receiver that refused new types has broken bots before. It takes
// the documented envelope with or without "@odata.type", a bare array and a bare
// notification. Bytes that are no UTF-8 are read as Windows-1252, which Graph has
// been seen to send.
func Parse(body []byte) ([]Notification, error) {
	values, err := envelope(toUTF8(body))
	if err != nil {
		return nil, err
	}
	if len(values) > MaxValues {
		return nil, errTooMany
	}
	notes := make([]Notification, len(values))
	for i, raw := range values {
		notes[i] = parseValue(raw)
	}
	return notes, nil
}

func toUTF8(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if utf8.Valid(body) {
		return body
	}
	if decoded, err := charmap.Windows1252.NewDecoder().Bytes(body); err == nil {
		return decoded
	}
	return bytes.ToValidUTF8(body, []byte("\ufffd"))
}

func envelope(body []byte) ([]json.RawMessage, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, errors.New("body is empty: want a JSON object with \"value\"")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, fmt.Errorf("body is not JSON: %w", err)
	}
	if values, ok := asArray(whole); ok {
		return values, nil
	}
	o := asObject(whole)
	if value := o.get("value"); value != nil {
		if values, ok := asArray(value); ok {
			return values, nil
		}
		return []json.RawMessage{value}, nil
	}
	if o.get("resourceurl") != nil || o.get("resource") != nil || o.get("resourcedata") != nil {
		return []json.RawMessage{whole}, nil
	}
	return nil, errors.New("body holds no notifications: want a JSON object with \"value\"")
}

// parseValue reads one commsNotification.
func parseValue(raw json.RawMessage) Notification {
	o := asObject(raw)
	n := Notification{
		Kind:       commands.KindOther,
		ChangeType: spell(changeTypes, o.text("changetype")),
		Raw:        raw,
	}
	data := o.get("resourcedata")
	items, isArray := asArray(data)
	first := asObject(data)
	if isArray && len(items) > 0 {
		first = asObject(items[0])
	}
	res := o.resource(first)
	n.CallID = res.callID

	switch kindOf(first.graphType(), res) {
	case isCall:
		n.call(first, res)
	case isRoster:
		n.Kind = commands.KindRoster
		if isArray && res.partID == "" && !isDelta(first) {
			count := len(items)
			n.Participants = &count
		}
	case isContentSharing:
		n.Kind = commands.KindContentSharing
	case isOperation:
		n.operation(first, res)
	}
	return n
}

// resource finds the notification's path. "resourceUrl" is the documented name,
// "resource" its older twin, which early payloads have alone.
func (o object) resource(data object) (res resource) {
	for _, path := range []string{o.text("resourceurl"), o.text("resource"), data.text("@odata.id")} {
		if r := parseResource(path); r.callID != "" {
			return r
		}
	}
	return resource{}
}

// subject is what a notification is about.
type subject int

const (
	isOther subject = iota
	isCall
	isRoster
	isContentSharing
	isOperation
)

// kindOf decides by "@odata.type"; the path decides where there is no type,
// and for operations, of which Graph keeps making new ones.
func kindOf(graphType string, res resource) subject {
	switch {
	case graphType == "call":
		return isCall
	case graphType == "participant", graphType == "deltaparticipants":
		return isRoster
	case graphType == "contentsharingsession":
		return isContentSharing
	case strings.HasSuffix(graphType, "operation"), res.part == "operations":
		return isOperation
	case graphType != "", res.callID == "":
		return isOther
	case res.part == "":
		return isCall
	case res.part == "participants":
		return isRoster
	case res.part == "contentsharingsessions":
		return isContentSharing
	}
	return isOther
}

// isDelta tells changes of a roster from a roster.
func isDelta(first object) bool {
	return first.graphType() == "deltaparticipants" || first.get("participants") != nil
}
