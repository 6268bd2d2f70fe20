package producer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// member is one member of a JSON object, its value as it was written but for
// white space.
type member struct {
	name  string
	value json.RawMessage
}

// object keeps its members in the order they were written: the bytes of a body
// are part of the command's identity, so nothing may be reordered or respelled.
type object []member

// readObject takes exactly one JSON object apart. Members that come twice are
// an error, for which of them counts would be anyone's guess.
func readObject(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	token, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", plain(err))
	}
	if token != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var members object
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", plain(err))
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("not JSON: %w", plain(err))
		}
		if members.has(name.(string)) {
			return nil, fmt.Errorf("member %q comes twice", cut(name.(string), 40))
		}
		members = append(members, member{name.(string), compact(value)})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", plain(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON object")
	}
	return members, nil
}

func plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}

func compact(value json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return value
	}
	return out.Bytes()
}

func (o object) has(name string) bool {
	return slices.ContainsFunc(o, func(m member) bool { return m.name == name })
}

// get gives nil for a member that is not there.
func (o object) get(name string) json.RawMessage {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// set replaces a member in its place or adds it at the end, on a copy.
func (o object) set(name string, value json.RawMessage) object {
	o = slices.Clone(o)
	for i := range o {
		if o[i].name == name {
			o[i].value = value
			return o
		}
	}
	return append(o, member{name, value})
}

func (o object) bytes() []byte {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		name, _ := json.Marshal(m.name)
		out.Write(name)
		out.WriteByte(':')
		out.Write(m.value)
	}
	out.WriteByte('}')
	return out.Bytes()
}
