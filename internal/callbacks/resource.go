package callbacks

import (
	"net/url"
	"strings"
)

// resource is what a notification's path says: which call, and what of it.
type resource struct {
	callID string
	part   string // "participants", "operations", …, in lower case; "" for the call itself
	partID string // the segment after part
}

// parseResource reads the paths that occur: both families
// ("/communications/calls/{id}/…", "/app/calls/{id}/…"), OData's keys in parentheses
// ("/communications/calls('{id}')"), and whole URLs. Without a call it is empty.
func parseResource(path string) resource {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	segments := pathSegments(path)
	for i, s := range segments {
		if !strings.EqualFold(s, "calls") || i+1 == len(segments) {
			continue
		}
		r := resource{callID: segments[i+1]}
		if rest := segments[i+2:]; len(rest) > 0 {
			r.part = strings.ToLower(rest[0])
			if len(rest) > 1 {
				r.partID = rest[1]
			}
		}
		return r
	}
	return resource{}
}

// pathSegments splits a path; "calls('x')" is two segments like "calls/x".
func pathSegments(path string) (segments []string) {
	for s := range strings.SplitSeq(path, "/") {
		if name, key, ok := strings.Cut(s, "("); ok && strings.HasSuffix(key, ")") {
			segments = appendSegment(segments, name)
			s = strings.Trim(strings.TrimSuffix(key, ")"), "'")
		}
		segments = appendSegment(segments, s)
	}
	return segments
}

func appendSegment(segments []string, s string) []string {
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	if s = strings.TrimSpace(s); s == "" {
		return segments
	}
	return append(segments, s)
}
