package commands

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a body; Graph's own types nest eight deep.
const maxDepth = 64

// twice stands for the value of a member that was given more than once, which
// different readers would read differently.
type twice struct{}

// parse reads the body as one JSON object of map[string]any, []any, string,
// json.Number, bool and nil. It reports what is wrong and whether there is an
// object to look into at all.
func (p *problems) parse(body []byte) (map[string]any, bool) {
	const want = "one JSON object in UTF-8"
	if len(body) > MaxBody {
		p.addCause(CauseTooLarge, "body", fmt.Sprintf("has %d bytes", len(body)), fmt.Sprintf("at most %d", MaxBody))
		// A little more is still read for the id and the replyTo of the
		// rejection; the queue takes no message of more than 72 KiB.
		if len(body) > 2*MaxBody {
			return nil, false
		}
	}
	if len(bytes.TrimSpace(body)) == 0 {
		p.addCause(CauseUnreadable, "body", "is empty", want)
		return nil, false
	}
	if !utf8.Valid(body) {
		p.addCause(CauseUnreadable, "body", "is not UTF-8", want)
		return nil, false
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		problem := "is not JSON"
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			problem = fmt.Sprintf("is not JSON (byte %d)", syntax.Offset)
		}
		p.addCause(CauseUnreadable, "body", problem, want)
		return nil, false
	}
	tokens := json.NewDecoder(bytes.NewReader(body))
	tokens.UseNumber()
	value, deep := p.value(tokens, "", 0)
	if deep {
		p.addCause(CauseUnreadable, "body", "is nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
		return nil, false
	}
	root, ok := value.(map[string]any)
	if !ok {
		p.addCause(CauseUnreadable, "body", "is "+article(value), want)
	}
	return root, ok
}

// value reads the next value; the caller has made sure that the text is JSON.
func (p *problems) value(tokens *json.Decoder, path string, depth int) (value any, deep bool) {
	if depth > maxDepth {
		return nil, true
	}
	token, err := tokens.Token()
	if err != nil { // not after json.Unmarshal took the same bytes
		return nil, true
	}
	switch token {
	case json.Delim('{'):
		return p.object(tokens, path, depth)
	case json.Delim('['):
		list := []any{}
		for tokens.More() {
			entry, deep := p.value(tokens, fmt.Sprintf("%s[%d]", path, len(list)), depth+1)
			if deep {
				return nil, true
			}
			list = append(list, entry)
		}
		_, err = tokens.Token()
		return list, err != nil
	}
	return token, false
}

func (p *problems) object(tokens *json.Decoder, path string, depth int) (any, bool) {
	object := map[string]any{}
	for tokens.More() {
		token, err := tokens.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, true
		}
		at := join(path, name)
		entry, deep := p.value(tokens, at, depth+1)
		if deep {
			return nil, true
		}
		if had, ok := object[name]; ok {
			if had != (twice{}) {
				p.add(at, "is given more than once", "each member once")
			}
			entry = twice{}
		}
		object[name] = entry
	}
	_, err := tokens.Token()
	return object, err != nil
}

// marshal writes a tree so that the same tree always gives the same bytes:
// members in order of name, numbers as they were spelled, no HTML escapes.
func marshal(tree any) (json.RawMessage, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func join(path, name string) string {
	if path == "" {
		return showName(name)
	}
	return path + "." + showName(name)
}

// article names the type of a value for a message.
func article(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	}
	return "given more than once"
}
