package callbacks

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object read leniently: names in any case, values of any
// type, each looked at only when asked for. Graph spells "subcode" and
// "subCode" and writes numbers as strings, so a struct would refuse bodies that
// are perfectly clear.
type object map[string]json.RawMessage

// asObject reads an object; anything else is an empty one.
func asObject(raw json.RawMessage) object {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	o := make(object, len(members))
	// Sorted, so that of two spellings the one with lower case wins, always.
	for _, name := range slices.Sorted(maps.Keys(members)) {
		o[strings.ToLower(name)] = members[name]
	}
	return o
}

// asArray reads an array; ok is false for anything else.
func asArray(raw json.RawMessage) (items []json.RawMessage, ok bool) {
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("[")) {
		return nil, false
	}
	return items, json.Unmarshal(raw, &items) == nil
}

// get gives a member by its lower-case name, nil when absent or null.
func (o object) get(name string) json.RawMessage {
	raw := o[name]
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return raw
}

func (o object) object(name string) object { return asObject(o[name]) }

// text gives a string member, a number as it is written, "" for all else.
func (o object) text(name string) string {
	raw := o.get(name)
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s)
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// number gives a whole number written as number or string, 0 for all else.
func (o object) number(name string) int {
	s := o.text(name)
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<31 {
		return int(f)
	}
	return 0
}

// graphType gives the short name of an "@odata.type" in lower case:
// "#microsoft.graph.call" is "call", a collection counts as its elements.
func (o object) graphType() string {
	t := strings.ToLower(o.text("@odata.type"))
	t = strings.TrimPrefix(t, "#")
	t = strings.TrimSuffix(strings.TrimPrefix(t, "collection("), ")")
	return t[strings.LastIndexByte(t, '.')+1:]
}
