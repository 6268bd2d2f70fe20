package graph

import (
	"encoding/json"
	"strconv"
	"strings"
)

// The types here never fail to decode: Graph's payloads swap strings and
// numbers and change case from page to page, and a member that cannot be read
// must not hide the others.

// text takes a string, number or Boolean as a string; anything else is "".
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	*t = ""
	if len(data) == 0 {
		return nil
	}
	switch data[0] {
	case '"':
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return nil
		}
		*t = text(s)
	case '{', '[', 'n':
	default:
		*t = text(data)
	}
	return nil
}

// number takes an integer, a float with an integral value or either in a
// string; anything else is 0.
type number int

func (n *number) UnmarshalJSON(data []byte) error {
	*n = 0
	s := strings.TrimSpace(strings.Trim(string(data), `"`))
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		*n = number(i)
	} else if f, err := strconv.ParseFloat(s, 64); err == nil && f == float64(int64(f)) {
		*n = number(int64(f))
	}
	return nil
}

// items takes the elements of an array; anything else is empty.
type items []json.RawMessage

func (i *items) UnmarshalJSON(data []byte) error {
	*i = nil
	var elements []json.RawMessage
	if json.Unmarshal(data, &elements) == nil {
		*i = elements
	}
	return nil
}

// isObject tells whether a member is there and an object.
func isObject(raw json.RawMessage) bool {
	return len(raw) > 0 && raw[0] == '{'
}

// spelled returns value as it is spelled in known, whatever its case; an
// unknown value comes back as it is.
func spelled(value string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(value, k) {
			return k
		}
	}
	return value
}
