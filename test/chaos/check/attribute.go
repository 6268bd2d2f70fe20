package check

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// origin is what a callbackUri says: the place command and its attempt. A worker
// writes …/v1/notifications/{producer}/{callRef}/{commandId}/{attempt}.
func origin(callbackURI string) (place commands.Key, attempt int, ok bool) {
	_, path, found := strings.Cut(callbackURI, "/v1/notifications/")
	parts := strings.Split(path, "/")
	if !found || len(parts) != 4 {
		return commands.Key{}, 0, false
	}
	attempt, err := strconv.Atoi(parts[3])
	return commands.Key{Producer: parts[0], CallRef: parts[1], ID: parts[2]}, attempt, err == nil
}

// commandID is the id that the load gives a command that is to be found in a body.
var commandID = regexp.MustCompile(`\bcmd-[A-Za-z0-9_-]+`)

// TransferID finds the id of the command that a request for a transfer was sent
// for: the first text anywhere in the body that begins "cmd-". Graph's transfer has
// no clientContext, so a load that wants its transfers checked writes the command's
// id into the transferTarget, as displayName of its identity for example. It
// returns "" when there is none.
func TransferID(body string) string { return commandID.FindString(body) }

// attribute tells which command a request was sent for. Reads, keepAlive and
// DELETE carry nothing that tells, and redirects are of calls not placed here.
func attribute(r *graphsim.Request) (key commands.Key, ok bool) {
	place, _, ok := origin(r.CallbackURI)
	if !ok {
		return commands.Key{}, false
	}
	key = place
	switch r.Operation {
	case "createCall":
		return place, true
	case "mute", "unmute", "playPrompt", "cancelMediaProcessing":
		key.ID = clientContext(r.Body)
	case "transfer":
		key.ID = TransferID(string(r.Body))
	default:
		return commands.Key{}, false
	}
	return key, key.ID != ""
}

func clientContext(body json.RawMessage) string {
	var b struct {
		ClientContext string `json:"clientContext"`
	}
	if !bytes.Contains(body, []byte("clientContext")) || json.Unmarshal(body, &b) != nil {
		return ""
	}
	return b.ClientContext
}

// effect is what a request did in the simulated Graph.
type effect int

const (
	none    effect = iota // it was not tried
	refused               // it was tried and Graph said no
	perhaps               // a fault took the place of what Graph would have said
	done
)

func effectOf(r *graphsim.Request) effect {
	switch {
	case !r.Executed:
		return none
	case r.Operation == "createCall" && r.CallID != "":
		return done // whatever was answered
	case r.Operation == "createCall":
		return refused
	case r.Fault == "status":
		return perhaps
	case r.Code != "" || r.Status >= http.StatusBadRequest:
		return refused
	}
	return done
}

// ambiguous tells whether an answer leaves open what was done: none at all, or one
// that a gateway may have given.
func ambiguous(r *graphsim.Request) bool {
	switch r.Status {
	case 0, http.StatusInternalServerError, http.StatusServiceUnavailable:
		return true // the last two if they came without Graph's words, which the log does not tell
	}
	return gateway(r.Status) || (r.Fault == "status" && r.Status < http.StatusMultipleChoices)
}

// gateway tells whether a status is never Graph's own word on what was done.
func gateway(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusBadGateway || status == http.StatusGatewayTimeout
}
