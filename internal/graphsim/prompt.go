package graphsim

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"
)

const maxPrompts = 20

// prompt is one playPrompt operation: running if it is the first, else queued.
type prompt struct {
	id            string
	clientContext string
	uris          []string
}

// playPrompt is "call: playPrompt". Operations are played in order.
func (s *Sim) playPrompt(x *exchange, c *call) answer {
	body, clientContext, err := contextBody(x.body)
	if err != nil {
		return refuse(err)
	}
	var r reader
	p := &prompt{id: uuid.NewString(), clientContext: clientContext}
	for _, item := range r.objects(body, "prompts") {
		r.concrete(item, "prompts", "mediaPrompt")
		p.uris = append(p.uris, r.checkMediaInfo(r.child(item, "mediaInfo"), "mediaInfo"))
	}
	if n := len(p.uris); n < 1 || n > maxPrompts {
		r.fail(invalid("Invalid argument: prompts must have 1 to %d items.", maxPrompts))
	}
	switch {
	case r.err != nil:
		return refuse(r.err)
	case c.appHosted:
		return refuse(service(http.StatusBadRequest, 8500, "Invalid media mode: prompts need service hosted media."))
	case !c.up():
		return refuse(notEstablished(c.state))
	case c.audio != "active":
		return refuse(service(http.StatusBadRequest, 8503, "Audio is not active."))
	}
	status := "running"
	if c.prompts = append(c.prompts, p); len(c.prompts) > 1 {
		status = "notStarted"
	} else {
		s.startPromptLocked(c)
	}
	return operationAnswer(x, c, p.id, "playPromptOperation", status, clientContext)
}

func (r *reader) checkMediaInfo(info object, member string) string {
	if info == nil {
		r.fail(invalid("Invalid argument: %s is required.", member))
		return ""
	}
	uri := r.text(info, "uri")
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		r.fail(invalid("Invalid argument: the uri in %s must be absolute.", member))
	}
	return uri
}

// startPromptLocked plays the first of the queue.
func (s *Sim) startPromptLocked(c *call) {
	p := c.prompts[0]
	c.operationMoved(p.id, "running", nil)
	result, takes := playing(p.uris, s.opts.PromptDuration, s.opts.StepDuration)
	s.inLocked(c, "prompt", takes, func() {
		c.prompts = c.prompts[1:]
		s.promptEndedLocked(c, p, result)
		if len(c.prompts) > 0 {
			s.startPromptLocked(c)
		}
	})
}

// playing tells how prompts will end, and when. A file that cannot be played is
// found out at once.
func playing(uris []string, each, step time.Duration) (*ResultInfo, time.Duration) {
	for i, uri := range uris {
		u, _ := url.Parse(uri) // was checked
		switch {
		case strings.Contains(u.Path, "missing"):
			return &ResultInfo{400, 8536, "Action failed, the file could not be downloaded."}, time.Duration(i)*each + step
		case !strings.EqualFold(path.Ext(u.Path), ".wav"):
			return &ResultInfo{400, 8535, "Action failed, the file format is invalid."}, time.Duration(i)*each + step
		}
	}
	return &ResultInfo{200, 0, "Action completed successfully."}, time.Duration(len(uris)) * each
}

// promptEndedLocked reports an operation. Like Microsoft's sample, the data has no
// id, and the ids in the path have neither dashes nor lower case.
func (s *Sim) promptEndedLocked(c *call, p *prompt, result *ResultInfo) {
	status := "completed"
	if result.Code != 200 {
		status = "failed"
	}
	c.operationMoved(p.id, status, result)
	operation := "/operations/" + strings.ToUpper(normalID(p.id))
	data := typed("playPromptOperation", object{
		"@odata.id":   "/communications/calls/" + strings.ToUpper(normalID(c.id)) + operation,
		"@odata.etag": `W/"54451"`,
		"status":      status, "clientContext": p.clientContext, "resultInfo": result.object(),
	})
	s.notifyLocked(c, event{kind: "operation", changeType: "deleted", path: operation, upper: true, data: data})
}

// cancelMedia is "call: cancelMediaProcessing": it ends the running prompt and all
// that wait.
func (s *Sim) cancelMedia(x *exchange, c *call) answer {
	_, clientContext, err := contextBody(x.body)
	switch {
	case err != nil:
		return refuse(err)
	case !c.up():
		return refuse(notEstablished(c.state))
	}
	s.dropLocked(c, "prompt")
	victims := c.prompts
	c.prompts = nil
	for _, p := range victims {
		s.promptEndedLocked(c, p, &ResultInfo{400, 8508, "Action failed, the operation was cancelled."})
	}
	return operationAnswer(x, c, uuid.NewString(), "cancelMediaProcessingOperation", "completed", clientContext)
}

// contextBody reads a body that may have a clientContext.
func contextBody(data []byte) (body object, clientContext string, err *apiError) {
	body, err = decodeObject(data, true)
	if err != nil {
		return nil, "", err
	}
	var r reader
	clientContext = r.text(body, "clientContext")
	if len([]rune(clientContext)) > maxClientContext {
		r.fail(invalid("Invalid argument: clientContext must have at most %d characters.", maxClientContext))
	}
	return body, clientContext, r.err
}

// operationAnswer is the answer of the actions that are operations.
func operationAnswer(x *exchange, c *call, id, kind, status, clientContext string) answer {
	c.operations = appendBounded(c.operations, &Operation{ID: id, Kind: kind, ClientContext: clientContext, Status: status})
	body := typed(kind, object{
		"@odata.context": x.base + version + "$metadata#" + kind,
		"id":             id, "status": status, "clientContext": nil, "resultInfo": nil,
	})
	if clientContext != "" {
		body["clientContext"] = clientContext
	}
	return answer{status: http.StatusOK, body: body, location: x.family + "/calls/" + c.id + "/operations/" + id}
}
