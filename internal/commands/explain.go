package commands

import (
	"slices"
	"strconv"
	"strings"
)

// Explanation is what a code means.
type Explanation struct {
	// Code is "480/10037" (code and subcode of a resultInfo), "486" (any
	// subcode), "8529" (an error code or a subcode), "HTTP 503" or a word.
	Code string `json:"code"`
	// Reason is the word for results and events, from an open set: "busy",
	// "noAnswer", "declined", "ended", …
	Reason  string `json:"reason"`
	Class   Class  `json:"class"`
	Message string `json:"message"`
	// Hint says what to do about it; empty when there is nothing to do.
	Hint string `json:"hint,omitempty"`
	// Retryable means that a new command with a new id may succeed.
	Retryable bool `json:"retryable"`
	// Normal is true for the ordinary end of a call, false for a failure.
	Normal bool `json:"normal"`
	// Known is false when no row of the table fits: then the explanation is
	// what the number's range says.
	Known bool `json:"known"`
	// Source is the page, the product or the standard that says so; "callbus" for
	// words of our own.
	Source string `json:"source,omitempty"`
}

// row is one line of the tables in explain_calls.go, explain_api.go,
// explain_http.go, explain_gateway.go and explain_words.go.
type row struct {
	code, reason          string
	class                 Class
	retry                 bool
	message, hint, source string
}

// rows are all tables, the ones that a bare code is looked up in first to the
// front: an error code may also be the subcode of a resultInfo.
var rows = slices.Concat(apiRows, generalRows, callRows, httpRows, gatewayRows, ownRows)

var rowOf = func() map[string]row {
	index := make(map[string]row, len(rows))
	for _, r := range rows {
		index[strings.ToLower(r.code)] = r
	}
	return index
}()

func (r row) explanation() Explanation {
	return Explanation{Code: r.code, Reason: r.reason, Class: r.class, Message: r.message, Hint: r.hint,
		Retryable: r.retry, Normal: r.class == ClassGone && normal[r.reason], Known: true, Source: r.source}
}

// normal are the reasons a call ends for when all went well.
var normal = map[string]bool{reasonEnded: true, reasonTransferred: true}

const (
	reasonEnded       = "ended"
	reasonTransferred = "transferred"
	reasonOther       = "other"
)

// Explain says what the code of an error means: Graph's number or word, the
// code of a resultInfo, "code/subcode", or our own word. Words are found in
// any case. Without a row the answer has Known false and reason "other".
func Explain(code string) Explanation {
	code = strings.TrimSpace(code)
	if r, ok := rowOf[strings.ToLower(code)]; ok {
		return r.explanation()
	}
	if main, sub, ok := strings.Cut(code, "/"); ok {
		m, errMain := strconv.Atoi(main)
		s, errSub := strconv.Atoi(sub)
		if errMain == nil && errSub == nil {
			return ExplainResult(m, s)
		}
	}
	if n, err := strconv.Atoi(code); err == nil {
		if n < 1000 {
			return ExplainResult(n, 0)
		}
		switch found := Lookup(code); {
		case len(found) == 1:
			return found[0]
		case len(found) > 1:
			return Explanation{Code: code, Reason: reasonOther, Class: ClassInternal,
				Message: "the subcode means different things with different codes", Hint: "ask for code/subcode, as in " + found[0].Code}
		}
	}
	return Explanation{Code: code, Reason: reasonOther, Class: ClassInternal, Message: "no meaning is known for this code",
		Hint: "look it up in Microsoft's documentation; request ids in the result help Microsoft's support"}
}

// ExplainResult says what the resultInfo of a call or an operation means. It
// looks for code and subcode together, then for the subcode (85xx mean the
// same everywhere), then for the SIP status in PSTN subcodes (560486 is 486),
// then for the code, and at last for the code's range.
func ExplainResult(code, subcode int) Explanation {
	pair := strconv.Itoa(code) + "/" + strconv.Itoa(subcode)
	tries := []string{pair}
	if subcode >= 7500 && subcode < 10000 && code != 0 && code/100 != 2 {
		tries = append(tries, strconv.Itoa(subcode))
	}
	if sip := subcode % 10000; (subcode/10000 == 54 || subcode/10000 == 56) && sip >= 400 {
		tries = append(tries, strconv.Itoa(sip))
	}
	tries = append(tries, strconv.Itoa(code))
	for _, try := range tries {
		if r, ok := rowOf[try]; ok {
			e := r.explanation()
			e.Code = pair
			return e
		}
	}
	return byRange(code, pair)
}

// byRange: 2xx and 0 are normal, 4xx the client's side, 5xx the server's, 6xx
// global (Microsoft Graph, resultInfo).
func byRange(code int, pair string) Explanation {
	e := Explanation{Code: pair, Reason: reasonOther, Source: srcResultInfo}
	switch code / 100 {
	case 0, 2:
		e.Reason, e.Class, e.Normal, e.Message = reasonEnded, ClassGone, true, "the call ended normally"
	case 4:
		e.Class, e.Message = ClassCallee, "the call was not taken on the caller's or callee's side"
	case 5:
		e.Class, e.Retryable, e.Message = ClassTransient, true, "the calling service failed"
	case 6:
		e.Reason, e.Class, e.Message = "declined", ClassCallee, "the callee does not want the call"
	default:
		e.Class, e.Message = ClassInternal, "no meaning is known for this code"
	}
	return e
}

// Explanations lists the whole table.
func Explanations() []Explanation {
	all := make([]Explanation, len(rows))
	for i, r := range rows {
		all[i] = r.explanation()
	}
	return all
}
