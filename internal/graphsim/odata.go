package graphsim

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// object is a JSON object as it came; what is not understood is kept.
type object = map[string]any

const odataType = "@odata.type"

func graphType(name string) string { return "#microsoft.graph." + name }

// typed makes an object of a Graph type.
func typed(name string, members object) object {
	if members == nil {
		members = object{}
	}
	members[odataType] = graphType(name)
	return members
}

// decodeObject reads a request body. An empty one is an empty object if allowed.
func decodeObject(body []byte, emptyAllowed bool) (object, *apiError) {
	if len(bytes.TrimSpace(body)) == 0 && emptyAllowed {
		return object{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var o object
	if err := dec.Decode(&o); err != nil || o == nil {
		return nil, badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, badRequest("Unable to read JSON request payload: there is more after the object.")
	}
	return o, nil
}

// reader takes members out of objects and keeps the first thing that was wrong,
// as a deserialiser would.
type reader struct{ err *apiError }

func (r *reader) fail(err *apiError) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) wrongType(member, want string) {
	r.fail(badRequest("Cannot convert the value of property '%s' to the expected type '%s'.", member, want))
}

// text is a string member; absent and null are "".
func (r *reader) text(o object, member string) string {
	switch v := o[member].(type) {
	case nil:
	case string:
		return v
	default:
		r.wrongType(member, "Edm.String")
	}
	return ""
}

// flag is a Boolean member; absent and null are false.
func (r *reader) flag(o object, member string) bool {
	switch v := o[member].(type) {
	case nil:
	case bool:
		return v
	default:
		r.wrongType(member, "Edm.Boolean")
	}
	return false
}

// child is an object member; absent and null are nil.
func (r *reader) child(o object, member string) object {
	switch v := o[member].(type) {
	case nil:
	case object:
		return v
	default:
		r.wrongType(member, "an object")
	}
	return nil
}

// abstract is an object member of an abstract type, whose @odata.type must name
// one of the concrete ones.
func (r *reader) abstract(o object, member string, concrete ...string) (value object, name string) {
	value = r.child(o, member)
	if value == nil {
		return nil, ""
	}
	return value, r.concrete(value, member, concrete...)
}

func (r *reader) concrete(value object, member string, concrete ...string) string {
	name, ok := strings.CutPrefix(r.text(value, odataType), graphType(""))
	if !ok || !slices.Contains(concrete, name) {
		r.fail(badRequest("The property '%s' is of an abstract type: its '@odata.type' must be '#microsoft.graph.%s'.",
			member, strings.Join(concrete, "' or '#microsoft.graph.")))
		return ""
	}
	return name
}

// objects is an array of objects.
func (r *reader) objects(o object, member string) []object {
	var list []object
	for _, v := range r.array(o, member) {
		if item, ok := v.(object); ok {
			list = append(list, item)
		} else {
			r.wrongType(member, "a collection of objects")
		}
	}
	return list
}

// texts is an array of strings.
func (r *reader) texts(o object, member string) []string {
	var list []string
	for _, v := range r.array(o, member) {
		if item, ok := v.(string); ok {
			list = append(list, item)
		} else {
			r.wrongType(member, "Collection(Edm.String)")
		}
	}
	return list
}

func (r *reader) array(o object, member string) []any {
	switch v := o[member].(type) {
	case nil:
	case []any:
		return v
	default:
		r.wrongType(member, "a collection")
	}
	return nil
}

// whole is an Int32 member; ok is false if it is absent.
func (r *reader) whole(o object, member string) (n int64, ok bool) {
	switch v := o[member].(type) {
	case nil:
		return 0, false
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, true
		}
	}
	r.wrongType(member, "Edm.Int32")
	return 0, false
}
