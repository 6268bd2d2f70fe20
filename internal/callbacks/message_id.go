package callbacks

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxMessageID bounds what a stranger can make us put into a header.
const maxMessageID = 128

// resendWindow is how close together two equal bodies without a message id
// must be to count as one. It is short on purpose: a mute, an unmute and a mute
// again make equal rosters, and losing the third would be worse than folding a
// copy, which changes nothing.
const resendWindow = 10 * time.Second

// identity names the events of one request, so that a second delivery of it is
// recognised by the store.
type identity struct {
	message string // of the request
	path    string
}

// identify takes Graph's id of the request. A redelivery has an id of its own and
// names the first one's beside it. Without a fit id the time of arrival stands in.
func identify(req *http.Request, now time.Time) identity {
	id := cmp.Or(
		fitID(req.Header.Get("X-Microsoft-Skype-Original-Message-ID")),
		fitID(req.Header.Get("X-Microsoft-Skype-Message-ID")),
		"at"+strconv.FormatInt(now.UnixNano()/int64(resendWindow), 10),
	)
	return identity{message: id, path: req.URL.Path}
}

// fitID gives "" for an id that is unfit to be a header of ours.
func fitID(id string) string {
	unfit := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(id) > maxMessageID || strings.ContainsFunc(id, unfit) {
		return ""
	}
	return id
}

// event names one of the request's events. The hash of what it says is part of
// the name: what these ids are for is documented nowhere, and news must not be
// lost because an id is used twice.
func (id identity) event(index int, raw []byte) string {
	h := sha256.New()
	h.Write([]byte(id.path))
	h.Write([]byte{0})
	h.Write(raw)
	sum := h.Sum(nil)
	return id.message + "." + strconv.Itoa(index) + "." + hex.EncodeToString(sum[:8])
}
