package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

// permissions are what a NATS user may do; an empty list allows everything.
type permissions struct {
	Publish   permission `json:"publish"`
	Subscribe permission `json:"subscribe"`
}

type permission struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// whoWeAre asks the server for our own user, which every server since 2.9 tells
// to everybody who may publish there.
func whoWeAre(ctx context.Context, nc *nats.Conn) (user string, p permissions, err error) {
	msg, err := nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	if err != nil {
		return "", p, err
	}
	var answer struct {
		Data *struct {
			User        string      `json:"user"`
			Account     string      `json:"account"`
			Permissions permissions `json:"permissions"`
		} `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return "", p, err
	}
	if answer.Data == nil {
		return "", p, fmt.Errorf("the answer names no user")
	}
	user = "account " + answer.Data.Account
	if answer.Data.User != "" {
		user = fmt.Sprintf("user %s in %s", answer.Data.User, user)
	}
	return user, answer.Data.Permissions, nil
}

// rights compares what our user may do with what a worker does. Publishing cannot
// be tried without a trace, so the user's permissions are read; denied are the
// refusals that the other checks met.
func (x *examination) rights(ctx context.Context, nc *nats.Conn, denied *denials) []Finding {
	user, may, err := whoWeAre(ctx, nc)
	if err != nil {
		return judgeUntoldRights(err, denied.list())
	}
	return judgeRights(user, may, Rights(x.Options))
}

// judgeUntoldRights is for a server that does not say what our user may do.
func judgeUntoldRights(err error, denied []string) []Finding {
	const check, do = "rights", "give the worker's user the rights in docs/operators.md"
	var found []Finding
	slices.Sort(denied)
	for _, d := range slices.Compact(denied) {
		if !strings.Contains(d, "$SYS.REQ.USER.INFO") {
			found = append(found, fail(check, do, "the server says: %s", d))
		}
	}
	if len(found) == 0 {
		found = append(found, skip(check, "the server does not say what our user may do ($SYS.REQ.USER.INFO: %v); what was looked at was allowed, what a worker publishes was not tried", err))
	}
	return found
}

// judgeRights names the rights that are missing, those of one purpose together.
func judgeRights(user string, may permissions, needed []Right) (found []Finding) {
	const check = "rights"
	missing := map[string][]string{}
	var purposes []Right
	for _, r := range needed {
		list := may.Publish
		verb := "publish "
		if r.Subscribe {
			list, verb = may.Subscribe, "subscribe "
		}
		if list.allows(r.Subject) {
			continue
		}
		if missing[r.For] == nil {
			purposes = append(purposes, r)
		}
		missing[r.For] = append(missing[r.For], verb+r.Subject)
	}
	for _, p := range purposes {
		const do = "give the worker's user the rights in docs/operators.md"
		list := strings.Join(missing[p.For], ", ")
		if p.Spare {
			found = append(found, warn(check, do, "%s may not %s: %s", user, p.For, list))
		} else {
			found = append(found, fail(check, do, "%s may not %s: %s", user, p.For, list))
		}
	}
	if len(found) > 0 {
		return found
	}
	if len(may.Publish.Allow)+len(may.Publish.Deny)+len(may.Subscribe.Allow)+len(may.Subscribe.Deny) == 0 {
		return []Finding{ok(check, "%s: nothing is forbidden", user)}
	}
	return []Finding{ok(check, "%s: the %d rights that a worker needs are there", user, len(needed))}
}

// allows tells whether everything that subject stands for is allowed.
func (p permission) allows(subject string) bool {
	covered := len(p.Allow) == 0
	for _, a := range p.Allow {
		a, _, _ = strings.Cut(a, " ") // a queue may be named after the subject
		covered = covered || covers(a, subject)
	}
	for _, d := range p.Deny {
		d, _, _ = strings.Cut(d, " ")
		if overlap(d, subject) {
			return false
		}
	}
	return covered
}

// covers tells whether every subject that inner matches is matched by outer.
func covers(outer, inner string) bool {
	o, i := strings.Split(outer, "."), strings.Split(inner, ".")
	for n, token := range o {
		switch {
		case n >= len(i):
			return false
		case token == ">":
			return true
		case i[n] == ">":
			return false
		case token != "*" && token != i[n]:
			return false
		}
	}
	return len(o) == len(i)
}

// overlap tells whether some subject is matched by both.
func overlap(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for n := 0; ; n++ {
		switch {
		case n == len(x) || n == len(y):
			return len(x) == len(y)
		case x[n] == ">" || y[n] == ">":
			return true
		case x[n] != "*" && y[n] != "*" && x[n] != y[n]:
			return false
		}
	}
}
