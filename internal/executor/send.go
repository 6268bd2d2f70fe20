package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graph"
)

// answer is what came of one request: a response, or an error.
type answer struct {
	resp *graph.Response
	err  *graph.Error
	took time.Duration
}

// send is step 7: one request to Graph, within the lease. When the lease is too
// short it is renewed first, and the request is given up when the server does
// not say yes.
func (j *job) send(ctx context.Context) answer {
	begun := time.Now()
	if time.Until(j.m.LeaseEnd()) < j.x.opts.GraphTimeout {
		renew, cancel := context.WithTimeout(ctx, j.x.opts.GraphTimeout/4)
		_, _ = j.m.Renew(renew) // guard looks at what the lease is now
		cancel()
	}
	req, err := j.request()
	if err != nil {
		return answer{err: &graph.Error{Reason: graph.BadRequest, Err: err, Message: err.Error()}} // the pass is released by run
	}
	deadline := begun.Add(j.x.opts.GraphTimeout)
	if end := j.m.LeaseEnd(); end.Before(deadline) {
		deadline = end
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	resp, err := j.x.Graph.Do(ctx, req)
	a := answer{resp: resp, took: time.Since(begun)}
	if err != nil {
		a.err = asGraphError(err)
	}
	j.heard(ctx, a)
	return a
}

// request translates the command into Graph's terms.
func (j *job) request() (graph.Request, error) {
	r := graph.Request{
		Operation: operationOf(j.m.Action), TenantID: j.tenant, CallID: j.entry.CallID, Body: j.cmd.Parameters, Guard: j.guard,
	}
	switch j.m.Action {
	case commands.Place:
		r.CallID = ""
		body, err := with(j.cmd.Parameters, "callbackUri", j.x.opts.CallbackURI(j.key, j.view.Own.Attempts))
		r.Body = body
		return r, err
	case commands.PlayPrompt, commands.Mute, commands.Unmute, commands.CancelMediaProcessing:
		body, err := with(j.cmd.Parameters, "clientContext", clientContext(j.cmd))
		r.Body = body
		return r, err
	case commands.GetContentSharingSession:
		r.Body = nil
		var p struct {
			ID string `json:"contentSharingSessionId"`
		}
		err := json.Unmarshal(j.cmd.Parameters, &p)
		r.SessionID = p.ID
		return r, err
	case commands.ListParticipants:
		r.Body = nil
		if len(j.cmd.Parameters) == 0 {
			return r, nil
		}
		var p struct {
			Top       int    `json:"top"`
			SkipToken string `json:"skipToken"`
		}
		err := json.Unmarshal(j.cmd.Parameters, &p)
		r.Top, r.SkipToken = p.Top, p.SkipToken
		return r, err
	case commands.Transfer, commands.Redirect:
		return r, nil
	}
	r.Body = nil
	return r, nil
}

// operationOf is the translation of actions; their names are Graph's own but
// for two.
func operationOf(a commands.Action) graph.Operation {
	switch a {
	case commands.Place:
		return graph.CreateCall
	case commands.Hangup:
		return graph.DeleteCall
	}
	return graph.Operation(a)
}

// clientContext correlates an operation of Graph's with its command: the
// producer's own, or else the command's id.
func clientContext(cmd commands.Command) string {
	var p struct {
		ClientContext string `json:"clientContext"`
	}
	if len(cmd.Parameters) > 0 && json.Unmarshal(cmd.Parameters, &p) == nil && p.ClientContext != "" {
		return p.ClientContext
	}
	return cmd.ID
}

// with sets a member of a JSON object.
func with(object json.RawMessage, name, value string) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if len(object) > 0 {
		if err := json.Unmarshal(object, &members); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", name, err)
	}
	members[name] = text
	return json.Marshal(members)
}
