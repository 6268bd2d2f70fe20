package streams

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"
)

// Difference is one setting that is not as callbus wants it.
type Difference struct {
	Object string // "stream CALL_RESULTS", "consumer CALL_COMMANDS/urgent", …
	Field  string // the server's name of the setting; empty: the object is missing
	Have   string
	Want   string
}

// String is "stream CALL_RESULTS: max_age is 1h0m0s, want 168h0m0s".
func (d Difference) String() string {
	if d.Field == "" {
		return d.Object + ": missing"
	}
	return fmt.Sprintf("%s: %s is %s, want %s", d.Object, d.Field, d.Have, d.Want)
}

// Differences joins several lines of differences into one error text.
func joinDifferences(all []Difference) string {
	lines := make([]string, len(all))
	for i, d := range all {
		lines[i] = d.String()
	}
	return strings.Join(lines, "; ")
}

// diff compares two configurations as the server spells them, so that every
// field counts, also those a newer client library adds. The server's own
// defaults for what want leaves out are not differences.
func diff(object string, have, want any) []Difference {
	h, w := fields(have), fields(want)
	names := make([]string, 0, len(w))
	for name := range w {
		names = append(names, name)
	}
	for name := range h {
		if _, ok := w[name]; !ok && (mustBeUnset[name] || evicts(name, w)) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var all []Difference
	for _, name := range names {
		if name == "metadata" || reflect.DeepEqual(h[name], w[name]) {
			continue
		}
		all = append(all, Difference{Object: object, Field: name, Have: show(name, h[name]), Want: show(name, w[name])})
	}
	return all
}

// mustBeUnset lists settings whose presence breaks a promise although callbus
// leaves them out: each of them lets commands, records or leases go unseen.
var mustBeUnset = map[string]bool{
	"mirror": true, "sources": true, "republish": true, "subject_transform": true, "sealed": true,
	"max_msgs": true, "no_ack": true, "backoff": true, "priority_groups": true, "pause_until": false,
	"headers_only": true, "sample_freq": false, "rate_limit_bps": true, "deny_delete": true,
}

// evicts tells whether a limit makes the stream drop its oldest messages. Where
// a full stream refuses new ones, a limit is the operator's to set.
func evicts(name string, want map[string]any) bool {
	return name == "max_bytes" && want["discard"] == "old"
}

func fields(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain configuration structs always marshal
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		panic(err)
	}
	for name, value := range m {
		if empty(value) {
			delete(m, name)
		}
		if list, ok := value.([]any); ok {
			// Lists of subjects are sets.
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	for _, name := range []string{"max_msgs", "max_consumers", "max_bytes"} {
		if m[name] == float64(-1) {
			delete(m, name) // the server writes "no limit" where we write nothing
		}
	}
	return m
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// durations are the settings that the server counts in nanoseconds.
var durations = map[string]bool{
	"max_age": true, "duplicate_window": true, "ack_wait": true, "subject_delete_marker_ttl": true, "inactive_threshold": true,
	"ttl": true, "limit_marker_ttl": true, "max_expires": true, "priority_timeout": true,
}

func show(name string, v any) string {
	if v == nil {
		return "unset"
	}
	if ns, ok := v.(float64); ok && durations[name] {
		return time.Duration(ns).String()
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}
