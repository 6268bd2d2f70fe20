package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// roster serves participants "p0", "p1", … in pages, as an OData service does.
// link spells the nextLink of the page that begins at n; nil is Graph's way.
type roster struct {
	total, page int
	pad         int // bytes to make each participant larger
	ignoreTop   bool
	link        func(r *http.Request, n int) string
}

func (o roster) handle(w http.ResponseWriter, r *http.Request, _ int) {
	q := r.URL.Query()
	from, _ := strconv.Atoi(strings.TrimPrefix(q.Get("$skiptoken"), "at-"))
	if s := q.Get("$skip"); s != "" {
		from, _ = strconv.Atoi(s)
	}
	size := o.page
	if top, err := strconv.Atoi(q.Get("$top")); err == nil && !o.ignoreTop && top < size {
		size = top
	}
	to := min(from+size, o.total)
	page := map[string]any{"@odata.context": "ctx"}
	value := []any{}
	for i := from; i < to; i++ {
		value = append(value, map[string]string{"id": fmt.Sprint("p", i), "pad": strings.Repeat("x", o.pad)})
	}
	page["value"] = value
	if to < o.total {
		page["@odata.nextLink"] = "http://" + r.Host + r.URL.Path + "?$skiptoken=at-" + fmt.Sprint(to)
		if o.link != nil {
			page["@odata.nextLink"] = o.link(r, to)
		}
	}
	body, _ := json.Marshal(page)
	reply(w, 200, string(body))
}

func ids(t *testing.T, body json.RawMessage) []string {
	t.Helper()
	var list struct {
		Context string `json:"@odata.context"`
		Value   []struct{ ID string }
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("body %s: %v", body, err)
	}
	if list.Context != "ctx" {
		t.Errorf("@odata.context = %q; want that of Graph", list.Context)
	}
	var out []string
	for _, p := range list.Value {
		out = append(out, p.ID)
	}
	return out
}

// walk lists until there is no skip token and returns how many lists it took.
func walk(t *testing.T, c *Client, r Request, total int) int {
	t.Helper()
	var all []string
	for n := 1; ; n++ {
		resp, err := c.Do(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ids(t, resp.Body)...)
		if r.SkipToken = resp.SkipToken; r.SkipToken == "" || n > total {
			if len(all) != total {
				t.Fatalf("walked %d participants %v; want %d", len(all), all, total)
			}
			for i, id := range all {
				if id != fmt.Sprint("p", i) {
					t.Fatalf("participant %d is %s", i, id)
				}
			}
			return n
		}
	}
}

func TestListParticipants(t *testing.T) {
	for _, row := range []struct {
		name         string
		roster       roster
		request      Request
		lists, pages int
	}{
		{"one page", roster{total: 3, page: 10}, Request{}, 1, 1},
		{"nobody", roster{total: 0, page: 10}, Request{}, 1, 1},
		{"all pages are gathered", roster{total: 25, page: 10}, Request{}, 1, 3},
		{"top is a page of the caller's", roster{total: 5, page: 10}, Request{Top: 2}, 3, 3},
		{"a top larger than Graph's page takes several", roster{total: 25, page: 4}, Request{Top: 10}, 3, 7 + 2},
		{"a top that Graph ignores", roster{total: 5, page: 3, ignoreTop: true}, Request{Top: 2}, 3, 4},
		{"what does not fit is left behind a token", roster{total: 10, page: 10, pad: 1000}, Request{MaxBody: 3500}, 4, 4},
		{"a page that fits half", roster{total: 10, page: 4, pad: 1000}, Request{MaxBody: 5500}, 2, 4},
		{"a participant larger than the limit goes alone", roster{total: 3, page: 3, pad: 1000}, Request{MaxBody: 10}, 3, 3},
		{"links with $skip", roster{total: 7, page: 3, link: func(r *http.Request, n int) string {
			return fmt.Sprintf("http://%s%s?$skip=%d", r.Host, r.URL.Path, n)
		}}, Request{Top: 3}, 3, 3},
		{"links in OData's spelling under the alias", roster{total: 7, page: 3, link: func(r *http.Request, n int) string {
			return fmt.Sprintf("http://%s/v1.0/App/calls('c1')/participants?%%24skipToken=at-%d", r.Host, n)
		}}, Request{}, 1, 3},
		{"relative links", roster{total: 7, page: 3, link: func(r *http.Request, n int) string {
			return fmt.Sprintf("%s?$skiptoken=at-%d", r.URL.Path, n)
		}}, Request{}, 1, 3},
		{"more pages than one request may take", roster{total: maxPages + 5, page: 1}, Request{}, 2, maxPages + 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := startGraph(t, row.roster.handle)
			r := row.request
			r.Operation, r.CallID = ListParticipants, "c1"
			if n := walk(t, newClient(t, g.base()), r, row.roster.total); n != row.lists {
				t.Errorf("took %d lists; want %d", n, row.lists)
			}
			if n := len(g.seen()); n > row.pages || n < row.lists {
				t.Errorf("Graph saw %d requests; want at most %d", n, row.pages)
			}
			for _, s := range g.seen() {
				if path, _, _ := strings.Cut(s.URI, "?"); path != "/v1.0/communications/calls/c1/participants" {
					t.Errorf("request to %s", s.URI)
				}
			}
		})
	}
}

func TestNextLinkNeverLeadsAway(t *testing.T) {
	stranger := startGraph(t, answering(200, `{"value":[]}`))
	link := func(format string) func(*http.Request, int) string {
		return func(r *http.Request, n int) string {
			return strings.NewReplacer("{host}", r.Host, "{stranger}", strings.TrimPrefix(stranger.URL, "http://")).Replace(format)
		}
	}
	for name, format := range map[string]string{
		"another host":         "http://{stranger}/v1.0/communications/calls/c1/participants?$skiptoken=x",
		"another call":         "http://{host}/v1.0/communications/calls/c2/participants?$skiptoken=x",
		"another version":      "http://{host}/beta/communications/calls/c1/participants?$skiptoken=x",
		"dot segments":         "http://{host}/v1.0/communications/calls/c1/participants/../../c2?$skiptoken=x",
		"nowhere":              "http://{host}/v1.0/communications/calls/c1/participants",
		"no URL":               "http://[",
		"user info for a host": "http://{host}@{stranger}/v1.0/communications/calls/c1/participants?$skiptoken=x",
	} {
		t.Run(name, func(t *testing.T) {
			g := startGraph(t, roster{total: 9, page: 3, link: link(format)}.handle)
			_, err := newClient(t, g.base()).Do(t.Context(), Request{Operation: ListParticipants, CallID: "c1"})
			if e := wantError(t, err, Unreadable); !strings.Contains(e.Error(), "nextLink") {
				t.Errorf("error = %v", e)
			}
			if n := len(g.seen()); n != 1 {
				t.Errorf("Graph saw %d requests; want 1", n)
			}
		})
	}
	t.Run("the same page again", func(t *testing.T) {
		g := startGraph(t, roster{total: 9, page: 3, link: func(r *http.Request, _ int) string {
			return "http://" + r.Host + r.URL.Path + "?$skiptoken=at-3"
		}}.handle)
		_, err := newClient(t, g.base()).Do(t.Context(), Request{Operation: ListParticipants, CallID: "c1"})
		wantError(t, err, Unreadable)
	})
	if n := len(stranger.seen()); n != 0 {
		t.Errorf("the stranger saw %d requests, one of them with %s", n, stranger.seen()[0].Authorization)
	}
}

func TestErrorOnALaterPageIsTheLists(t *testing.T) {
	pages := roster{total: 9, page: 3}
	g := startGraph(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 2 {
			reply(w, 429, golden(t, "error.429-throttled.json"), "Retry-After", "3")
			return
		}
		pages.handle(w, r, n)
	})
	_, err := newClient(t, g.base()).Do(t.Context(), Request{Operation: ListParticipants, CallID: "c1"})
	wantError(t, err, Throttled)
}

func TestDocumentedParticipants(t *testing.T) {
	g := startGraph(t, answering(200, golden(t, "call-list-participants.1.response.json")))
	resp, err := newClient(t, g.base()).Do(t.Context(), Request{Operation: ListParticipants, CallID: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if json.Unmarshal(resp.Body, &got) != nil || json.Unmarshal([]byte(golden(t, "call-list-participants.1.response.json")), &want) != nil ||
		fmt.Sprint(got) != fmt.Sprint(want) || resp.SkipToken != "" {
		t.Errorf("Do() = %s, skip token %q; want the documented list whole", resp.Body, resp.SkipToken)
	}
}

func TestSkipTokensSurviveTheRoundTrip(t *testing.T) {
	for _, c := range []cursor{
		{}, {key: skipTokenKey, value: "abc"}, {key: skipTokenKey, value: "~1~x=&?#"}, {key: skipTokenKey, value: "a", offset: 7},
		{key: skipKey, value: "20"}, {key: skipKey, value: "20", offset: 3}, {offset: 12},
	} {
		s := c.String()
		if c == (cursor{}) {
			s = ""
		}
		if got := parseCursor(s); got != c {
			t.Errorf("parseCursor(%q) = %+v; want %+v", s, got, c)
		}
		q, err := url.ParseQuery(strings.TrimPrefix(c.query(0), "?"))
		if err != nil || c.key != "" && q.Get(c.key) != c.value {
			t.Errorf("query(%+v) = %q, %v", c, c.query(0), err)
		}
	}
}
