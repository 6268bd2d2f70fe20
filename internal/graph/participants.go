package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const (
	// defaultMaxBody keeps a list well below the size of a NATS message.
	defaultMaxBody = 512 << 10
	// maxPages bounds the requests of one Do.
	maxPages = 50
)

// listParticipants gathers pages until the list ends, Top is reached, or the
// next participant would not fit; what is left stays behind a skip token.
func (c *Client) listParticipants(ctx context.Context, p plan, r Request) (*Response, *Error) {
	list := participantList{top: r.Top, maxBody: r.MaxBody, next: parseCursor(r.SkipToken)}
	if list.maxBody == 0 {
		list.maxBody = defaultMaxBody
	}
	for range maxPages {
		resp, failure := c.call(ctx, p, p.url+list.next.query(r.Top))
		if failure != nil {
			return nil, failure
		}
		more, err := list.add(resp.Body, c.base, p.url)
		if err != nil {
			return nil, p.sign(&Error{Reason: Unreadable, Operation: p.operation, Sent: Answered,
				Status: resp.Status, RequestID: resp.RequestID, Err: err})
		}
		list.last = resp
		if !more {
			break
		}
	}
	return list.response(), nil
}

type participantList struct {
	top, maxBody int

	context json.RawMessage
	values  []json.RawMessage
	size    int
	next    cursor // where to go on
	left    bool   // something is left at next
	last    *Response
}

// add takes over one page and tells whether to fetch another.
func (l *participantList) add(body []byte, base *url.URL, listURL string) (more bool, err error) {
	var page struct {
		Context  json.RawMessage   `json:"@odata.context"`
		Value    []json.RawMessage `json:"value"`
		NextLink text              `json:"@odata.nextLink"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return false, errNotCollection
	}
	if l.context == nil {
		l.context = page.Context
	}
	for i := l.next.offset; i < len(page.Value); i++ {
		// One participant is always taken, or the list would never go on.
		tooLarge := len(l.values) > 0 && l.size+len(page.Value[i]) > l.maxBody
		if tooLarge || l.top > 0 && len(l.values) == l.top {
			l.next.offset, l.left = i, true
			return false, nil
		}
		l.values = append(l.values, page.Value[i])
		l.size += len(page.Value[i]) + 1
	}
	if l.left = page.NextLink != ""; !l.left {
		return false, nil
	}
	next, err := followLink(string(page.NextLink), base, listURL)
	if err != nil {
		return false, err
	}
	if next.key == l.next.key && next.value == l.next.value {
		return false, errors.New("nextLink leads to the same page again")
	}
	l.next = next
	return l.top == 0 || len(l.values) < l.top, nil
}

// response is the last page's answer with all pages' participants.
func (l *participantList) response() *Response {
	resp := *l.last
	var b bytes.Buffer
	b.Grow(l.size + len(l.context) + 64)
	b.WriteByte('{')
	if len(l.context) > 0 {
		fmt.Fprintf(&b, `"@odata.context":%s,`, l.context)
	}
	b.WriteString(`"value":[`)
	for i, v := range l.values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(v)
	}
	b.WriteString(`]}`)
	resp.Body = b.Bytes()
	if l.left {
		resp.SkipToken = l.next.String()
	}
	return &resp
}

// cursor is a place in the list: the query that leads to a page and how many
// participants of that page have been had.
type cursor struct {
	key    string // "", skipTokenKey or skipKey
	value  string
	offset int
}

const (
	skipTokenKey = "$skiptoken"
	skipKey      = "$skip"
)

var cursorText = regexp.MustCompile(`^~(\d{1,6})~(?:(\$skiptoken|\$skip)=(.*))?$`)

// String is Graph's own skip token where that says it all; a place inside a
// page is written ~offset~key=value.
func (c cursor) String() string {
	switch {
	case c.key == skipTokenKey && c.offset == 0 && !strings.HasPrefix(c.value, "~"):
		return c.value
	case c.key == "":
		return fmt.Sprintf("~%d~", c.offset)
	default:
		return fmt.Sprintf("~%d~%s=%s", c.offset, c.key, c.value)
	}
}

func parseCursor(s string) cursor {
	if m := cursorText.FindStringSubmatch(s); m != nil {
		offset, _ := strconv.Atoi(m[1]) // six digits
		return cursor{key: m[2], value: m[3], offset: offset}
	}
	if s == "" {
		return cursor{}
	}
	return cursor{key: skipTokenKey, value: s}
}

func (c cursor) query(top int) string {
	var params []string
	if top > 0 {
		params = append(params, "$top="+strconv.Itoa(top))
	}
	if c.key != "" {
		params = append(params, c.key+"="+url.QueryEscape(c.value))
	}
	if len(params) == 0 {
		return ""
	}
	return "?" + strings.Join(params, "&")
}

// followLink takes the place in the list out of an @odata.nextLink. The link
// itself is never requested: a token must not follow a link to another host.
func followLink(link string, base *url.URL, listURL string) (cursor, error) {
	u, err := base.Parse(link)
	if err != nil {
		return cursor{}, errors.New("nextLink cannot be parsed")
	}
	if !strings.EqualFold(u.Host, base.Host) {
		return cursor{}, fmt.Errorf("nextLink leads to another host, %s", u.Host)
	}
	own, err := url.Parse(listURL)
	if err != nil {
		return cursor{}, err
	}
	if plainPath(u.Path) != plainPath(own.Path) {
		return cursor{}, errors.New("nextLink leads to another resource")
	}
	for key, values := range u.Query() {
		switch strings.ToLower(key) {
		case skipTokenKey:
			return cursor{key: skipTokenKey, value: values[0]}, nil
		case skipKey:
			return cursor{key: skipKey, value: values[0]}, nil
		}
	}
	return cursor{}, errors.New("nextLink has neither $skiptoken nor $skip")
}

// plainPath makes equal what OData and Graph's alias spell differently:
// calls('id') and calls/id, /app and /communications, upper and lower case.
func plainPath(path string) string {
	path = strings.NewReplacer("('", "/", "')", "").Replace(strings.ToLower(path))
	return strings.Replace(path, "/app/calls", "/communications/calls", 1)
}
