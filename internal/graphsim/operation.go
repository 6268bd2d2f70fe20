package graphsim

import "net/http"

// Operations of the API, as they are named in faults, logs and statistics.
const (
	opCreate         = "createCall"
	opGet            = "getCall"
	opDelete         = "deleteCall"
	opParticipants   = "listParticipants"
	opListSharing    = "listContentSharingSessions"
	opGetSharing     = "getContentSharingSession"
	opKeepAlive      = "keepAlive"
	opMute           = "mute"
	opUnmute         = "unmute"
	opPlayPrompt     = "playPrompt"
	opCancelMedia    = "cancelMediaProcessing"
	opRedirect       = "redirect"
	opTransfer       = "transfer"
	opToken          = "token"        // of faults only
	opNotification   = "notification" // of faults only
	opUnknown        = "unknown"      // a path or method that Graph has not
	anyOperation     = "*"
	communications   = "communications"
	app              = "app"
	version          = "/v1.0/"
	maxRequestBody   = 4 << 20
	maxLoggedBody    = 16 << 10
	maxCallHistory   = 1000 // requests and notifications remembered of one call
	maxClientContext = 256
)

// operation is one thing Graph does, reachable by one or two routes. do runs
// under the Sim's lock; c is nil for opCreate only.
type operation struct {
	name   string
	method string
	path   string // below /communications and /app
	noApp  bool   // the alias does not have it
	do     func(s *Sim, x *exchange, c *call) answer
}

var operations = []operation{
	{opCreate, http.MethodPost, "/calls", false, (*Sim).createCall},
	{opGet, http.MethodGet, "/calls/{id}", false, (*Sim).getCall},
	{opDelete, http.MethodDelete, "/calls/{id}", false, (*Sim).deleteCall},
	{opParticipants, http.MethodGet, "/calls/{id}/participants", false, (*Sim).listParticipants},
	{opListSharing, http.MethodGet, "/calls/{id}/contentSharingSessions", true, (*Sim).listSharing},
	{opGetSharing, http.MethodGet, "/calls/{id}/contentSharingSessions/{session}", true, (*Sim).getSharing},
	{opKeepAlive, http.MethodPost, "/calls/{id}/keepAlive", true, (*Sim).keepAlive},
	{opMute, http.MethodPost, "/calls/{id}/mute", false, (*Sim).mute},
	{opUnmute, http.MethodPost, "/calls/{id}/unmute", false, (*Sim).unmute},
	{opPlayPrompt, http.MethodPost, "/calls/{id}/playPrompt", false, (*Sim).playPrompt},
	{opCancelMedia, http.MethodPost, "/calls/{id}/cancelMediaProcessing", false, (*Sim).cancelMedia},
	{opRedirect, http.MethodPost, "/calls/{id}/redirect", false, (*Sim).redirect},
	{opTransfer, http.MethodPost, "/calls/{id}/transfer", false, (*Sim).transfer},
}

// answer is what an operation answers: a body of JSON, an empty one, or an error.
type answer struct {
	status   int
	body     any    // nil for none
	location string // path below the version
	text     bool   // an empty body that calls itself text/plain
	err      *apiError
}

func refuse(err *apiError) answer { return answer{status: err.status, err: err} }

// routeGraph registers every method and route pair, and answers for the rest as
// Graph does: 405 for a path with another method, 404 for no path of Graph.
func (s *Sim) routeGraph(mux *http.ServeMux) {
	paths := map[string]bool{}
	for _, op := range operations {
		for _, family := range []string{communications, app} {
			if family == app && op.noApp {
				continue
			}
			path := version + family + op.path
			mux.Handle(op.method+" "+path, s.serve(op, path, family))
			if !paths[path] {
				paths[path] = true
				mux.Handle(path, s.serve(operation{name: opUnknown, do: func(_ *Sim, x *exchange, _ *call) answer {
					return refuse(&apiError{status: http.StatusMethodNotAllowed, code: "MethodNotAllowed",
						message: "The HTTP method '" + x.entry.Method + "' is not supported by this resource."})
				}}, path, family))
			}
		}
	}
	mux.Handle("/", s.serve(operation{name: opUnknown, do: func(_ *Sim, x *exchange, _ *call) answer {
		return refuse(&apiError{status: http.StatusNotFound, code: "ResourceNotFound",
			message: "Resource not found for the path '" + x.entry.Path + "'."})
	}}, "", ""))
}
