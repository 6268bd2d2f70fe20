package callbacks

import (
	"net/http"
	"strings"
)

// forwardedFor is what the nearest proxy says of who sent a request, for the
// log: the last address of X-Forwarded-For, "" when there is none. Whoever
// speaks to us without a proxy can write what they like into it.
func forwardedFor(req *http.Request) string {
	all := req.Header.Values("X-Forwarded-For")
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	const longest = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
	strange := func(c rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF.:[]", c) }
	if len(last) > longest || strings.ContainsFunc(last, strange) {
		return "not an address"
	}
	return last
}

// shortPath is the beginning of a request's path, for the log.
func shortPath(req *http.Request) string {
	const enough = 100
	if path := req.URL.EscapedPath(); len(path) > enough {
		return path[:enough] + "…"
	} else {
		return path
	}
}
