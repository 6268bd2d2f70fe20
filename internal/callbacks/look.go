package callbacks

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Published is what a key source publishes, for people who look.
type Published struct {
	Issuer string    // as its discovery document says; may be empty
	Keys   int       // RSA signing keys that can be read
	Date   time.Time // by the source's clock, to the second; may be zero
}

// LookAtKeys fetches a source's discovery document and keys once, as [Auth] does.
// It blocks until both are there or ctx ends.
func LookAtKeys(ctx context.Context, url string) (Published, error) {
	if err := checkSourceURL(url); err != nil {
		return Published{}, err
	}
	client := fetchClient(&http.Client{})
	defer client.CloseIdleConnections()
	p, err := (&keySource{url: url, client: client}).fetch(ctx)
	return Published{p.issuer, len(p.keys), p.date}, err
}

// SameIssuer tells whether two spellings name one issuer, as [Auth] compares them.
func SameIssuer(a, b string) bool { return trimIssuer(a) == trimIssuer(b) }

// Answerer is who answered a POST without a token on a notification's path.
type Answerer string

// The answerers. OursElsewhere is this room for a path that is no notification's,
// OursFull this room with no connection to spare.
const (
	Ours          Answerer = "ours"
	OursElsewhere Answerer = "oursElsewhere"
	OursFull      Answerer = "oursFull"
	Stranger      Answerer = "stranger"
)

// WhoAnswered tells by the words whether a [Receiver] refused the request.
func WhoAnswered(status int, header http.Header, body []byte) Answerer {
	switch text := strings.TrimSpace(string(body)); {
	case status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == challenge && text == RefusedNoToken.Error():
		return Ours
	case status == http.StatusNotFound && text == noSuchPath:
		return OursElsewhere
	case status == http.StatusServiceUnavailable && text == tooManyText:
		return OursFull
	}
	return Stranger
}
