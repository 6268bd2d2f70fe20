package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
)

// Call reads the call in the answer to a CreateCall or GetCall; its ID falls
// back on the Location header.
func (r *Response) Call() (Call, error) {
	if r.Body == nil && r.Location != "" {
		return Call{ID: IDFromLocation(r.Location)}, nil
	}
	call, err := ParseCall(r.Body)
	if err == nil && call.ID == "" {
		call.ID = IDFromLocation(r.Location)
	}
	return call, err
}

// CommsOperation reads the operation in the answer to a Mute, Unmute,
// PlayPrompt or CancelMediaProcessing. Its ID falls back on the Location header;
// an answer without a body has no Status, which is not an error.
func (r *Response) CommsOperation() (CommsOperation, error) {
	if r.Body == nil {
		return CommsOperation{ID: IDFromLocation(r.Location)}, nil
	}
	op, err := ParseOperation(r.Body)
	if err == nil && op.ID == "" {
		op.ID = IDFromLocation(r.Location)
	}
	return op, err
}

// IDFromLocation returns the id that a Location header ends in, be it
// …/calls/{id}, …/operations/{id} or …/calls('{id}'); "" if there is none.
func IDFromLocation(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	path := strings.TrimRight(u.Path, "/")
	id := path[strings.LastIndexByte(path, '/')+1:]
	if open := strings.Index(id, "('"); open >= 0 {
		id = strings.TrimSuffix(id[open+2:], "')")
	}
	if checkID(id) != nil {
		return ""
	}
	return id
}

var (
	errEmptyAnswer   = errors.New("empty answer")
	errNotJSON       = errors.New("answer is not JSON")
	errNotObject     = errors.New("answer is not a JSON object")
	errNotCollection = errors.New("answer has no array named value")
)

// checkBody makes Response.Body of a 2xx answer's body, or says why it is of no
// use for the operation.
func checkBody(op Operation, location string, body []byte) (json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	kind := op.answer()
	switch {
	case len(body) == 0 && (kind == answerEmpty || kind == answerOperation):
		return nil, nil
	case len(body) == 0 && op == CreateCall && IDFromLocation(location) != "":
		return nil, nil
	case len(body) == 0:
		return nil, errEmptyAnswer
	case !json.Valid(body) && kind == answerEmpty:
		return nil, nil
	case !json.Valid(body):
		return nil, errNotJSON
	case kind == answerEmpty:
		return body, nil
	case body[0] != '{':
		return nil, errNotObject
	case kind == answerCollection && !hasValueArray(body):
		return nil, errNotCollection
	}
	return body, nil
}

func hasValueArray(body []byte) bool {
	var w struct {
		Value json.RawMessage `json:"value"`
	}
	return json.Unmarshal(body, &w) == nil && len(w.Value) > 0 && w.Value[0] == '['
}

// decodeObject decodes a JSON object and nothing else.
func decodeObject(body []byte, into any) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return errEmptyAnswer
	}
	if body[0] != '{' {
		return errNotObject
	}
	if err := json.Unmarshal(body, into); err != nil {
		// The decoder's own message may quote the body.
		return errNotJSON
	}
	return nil
}
