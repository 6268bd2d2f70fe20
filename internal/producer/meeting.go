package producer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Meeting is where a Teams meeting is found, as its join URL says it.
type Meeting struct {
	ThreadID     string
	MessageID    string
	ReplyChainID string // empty for most
	TenantID     string
	OrganizerID  string
}

// ParseJoinURL takes a Teams join URL apart:
// …/meetup-join/<threadId>/<messageId>?context={"Tid":…,"Oid":…}, percent-encoded
// once or more, for mail programs like to do it again (Microsoft Graph, call resource: the
// meeting coordinates).
func ParseJoinURL(text string) (Meeting, error) {
	const allowed = `want https://teams.microsoft.com/l/meetup-join/<thread>/<message>?context={"Tid":…,"Oid":…}`
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return Meeting{}, errors.New("join URL is no https address: " + allowed)
	}
	if strings.HasPrefix(u.Path, "/meet/") {
		return Meeting{}, errors.New("join URL is a short one, which does not name the organizer: use the meeting's ID and passcode (parameters.meetingInfo with joinMeetingId) or its long URL")
	}
	_, rest, found := strings.Cut(u.EscapedPath(), "/meetup-join/")
	thread, message, both := strings.Cut(strings.Trim(rest, "/"), "/")
	if !found || !both {
		return Meeting{}, errors.New("join URL names no meeting: " + allowed)
	}
	m := Meeting{ThreadID: unescape(thread), MessageID: unescape(message)}
	if !strings.Contains(m.ThreadID, "@thread.") || m.MessageID == "" || strings.Contains(m.MessageID, "/") {
		return Meeting{}, errors.New("join URL names no thread and message: " + allowed)
	}
	var context struct{ Tid, Oid, MessageId string }
	if err := json.Unmarshal([]byte(unescape(u.Query().Get("context"))), &context); err != nil {
		return Meeting{}, errors.New("join URL has no readable context: " + allowed)
	}
	if context.Tid == "" || context.Oid == "" {
		return Meeting{}, errors.New("join URL's context has no Tid or no Oid: " + allowed)
	}
	m.TenantID, m.OrganizerID, m.ReplyChainID = context.Tid, context.Oid, context.MessageId
	return m, nil
}

// unescape undoes repeated percent-encoding.
func unescape(text string) string {
	for range 3 {
		plain, err := url.PathUnescape(text)
		if err != nil || plain == text {
			return text
		}
		text = plain
	}
	return text
}

// Parameters gives the members of a place command that join the meeting:
// chatInfo, meetingInfo and tenantId.
func (m Meeting) Parameters() map[string]json.RawMessage {
	chat := map[string]string{"threadId": m.ThreadID, "messageId": m.MessageID}
	if m.ReplyChainID != "" {
		chat["replyChainMessageId"] = m.ReplyChainID
	}
	organizer := map[string]any{"user": map[string]string{"id": m.OrganizerID, "tenantId": m.TenantID}}
	return map[string]json.RawMessage{
		"chatInfo":    marshal(withType("chatInfo", chat)),
		"meetingInfo": marshal(map[string]any{"@odata.type": "#microsoft.graph.organizerMeetingInfo", "organizer": organizer}),
		"tenantId":    marshal(m.TenantID),
	}
}

func withType(name string, members map[string]string) map[string]string {
	members["@odata.type"] = "#microsoft.graph." + name
	return members
}

// marshal is for values that always can be.
func marshal(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("marshal %T: %v", v, err))
	}
	return text
}
