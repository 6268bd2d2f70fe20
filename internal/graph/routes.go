package graph

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Family is one of the two spellings of the calls API's routes.
type Family string

// Communications is the documented family; App is its older alias, which the
// permission table still lists for ten of the thirteen operations.
const (
	Communications Family = "communications"
	App            Family = "app"
)

// Route is one method and path that Calls.Initiate.All reaches.
type Route struct {
	Operation Operation
	Method    string
	// Template is the path below the version, with {call} and {session} for
	// the ids.
	Template string
	Family   Family
}

// actions are the routes below one family's /calls, in the order of the
// reference; what an alias lacks is marked.
var actions = []struct {
	operation Operation
	method    string
	path      string
	noAlias   bool
}{
	{CreateCall, http.MethodPost, "/calls", false},
	{GetCall, http.MethodGet, "/calls/{call}", false},
	{DeleteCall, http.MethodDelete, "/calls/{call}", false},
	{ListParticipants, http.MethodGet, "/calls/{call}/participants", false},
	{ListContentSharingSessions, http.MethodGet, "/calls/{call}/contentSharingSessions", true},
	{GetContentSharingSession, http.MethodGet, "/calls/{call}/contentSharingSessions/{session}", true},
	{KeepAlive, http.MethodPost, "/calls/{call}/keepAlive", true},
	{Mute, http.MethodPost, "/calls/{call}/mute", false},
	{Unmute, http.MethodPost, "/calls/{call}/unmute", false},
	{PlayPrompt, http.MethodPost, "/calls/{call}/playPrompt", false},
	{CancelMediaProcessing, http.MethodPost, "/calls/{call}/cancelMediaProcessing", false},
	{Redirect, http.MethodPost, "/calls/{call}/redirect", false},
	{Transfer, http.MethodPost, "/calls/{call}/transfer", false},
}

// Routes returns the 23 method and route pairs of the application permission
// Calls.Initiate.All: thirteen under /communications, ten under /app.
func Routes() []Route {
	var routes []Route
	for _, family := range []Family{Communications, App} {
		for _, a := range actions {
			if family == App && a.noAlias {
				continue
			}
			routes = append(routes, Route{a.operation, a.method, "/" + string(family) + a.path, family})
		}
	}
	return routes
}

// routeTable maps each operation to its route in the preferred family, or
// under Communications where the alias has none.
func routeTable(preferred Family) map[Operation]Route {
	table := make(map[Operation]Route, len(actions))
	for _, r := range Routes() {
		if _, ok := table[r.Operation]; !ok || r.Family == preferred {
			table[r.Operation] = r
		}
	}
	return table
}

// path fills in the ids, escaped so that an id can never add a path segment.
func (r Route) path(callID, sessionID string) (string, error) {
	path := r.Template
	for _, id := range []struct{ placeholder, name, value string }{
		{"{call}", "call id", callID},
		{"{session}", "content sharing session id", sessionID},
	} {
		if !strings.Contains(path, id.placeholder) {
			continue
		}
		if err := checkID(id.value); err != nil {
			return "", fmt.Errorf("%s: %w", id.name, err)
		}
		path = strings.Replace(path, id.placeholder, url.PathEscape(id.value), 1)
	}
	return path, nil
}

// maxID bounds ids that go into a path. Graph's are GUIDs or 64 hex digits,
// but examples in its documentation are longer: they are opaque.
const maxID = 512

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("missing")
	case len(id) > maxID:
		return fmt.Errorf("longer than %d bytes", maxID)
	case id == "." || id == "..":
		// Proxies resolve dot segments even when they are escaped.
		return errors.New("must not be a dot segment")
	}
	for _, r := range id {
		if r <= ' ' || r == 0x7f {
			return errors.New("must not contain spaces or control characters")
		}
	}
	return nil
}
