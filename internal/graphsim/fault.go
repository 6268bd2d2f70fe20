package graphsim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault says where something goes wrong and what. A request meets the faults in
// the order of the list: every one that only delays adds its delay, the first that
// does more ends the search.
type Fault struct {
	// Where. Operation is "createCall" and so on, "token", "notification", or "*"
	// for every request to the calls API, which is also meant by "".
	Operation string
	// CallRef is a glob over the path of the call's callbackUri: "*" stands for any
	// characters and "?" for one. Without a slash it is held against each segment.
	CallRef string
	// TenantID is the tenant of the token, or of the call where the token has none;
	// a call that names none is in Options.TenantID.
	TenantID string
	// Kind, of notifications only: a call state, "roster", "operation" or "contentSharing".
	Kind string

	// How often. Probability is above 0 and at most 1; 0 here means always. Count ends
	// the fault after so many times; 0 means never.
	Probability float64
	Count       int

	// What. Status answers with an error instead of doing it, or after doing it with
	// AfterDoing. Code is textual or of the calling service; the default fits the status.
	Status  int
	Code    string
	Message string
	Shape   Shape
	// RetryAfter is the header as it is sent: seconds, with fractions or not, or an HTTP date.
	RetryAfter string
	// Body is sent as it is instead of an error body; an empty one is sent empty.
	Body       *string
	AfterDoing bool
	// Delay holds a request before it is done, or a notification that is late or
	// swapped (2 s) or doubled (0).
	Delay time.Duration
	// DropAnswer does what was asked and cuts the connection instead of answering.
	DropAnswer bool
	// DropRequest cuts the connection without doing anything.
	DropRequest bool
	// Notifications loses, delays, swaps with the next one, or doubles a notification.
	Notifications NotificationFault
}

// NotificationFault is what goes wrong with a notification.
type NotificationFault string

// The notification faults.
const (
	Lose   NotificationFault = "lose"
	Late   NotificationFault = "late"   // later ones overtake it
	Swap   NotificationFault = "swap"   // the next of the call overtakes it
	Double NotificationFault = "double" // with the same message id
)

// NotificationFaults lists every notification fault.
var NotificationFaults = []NotificationFault{Lose, Late, Swap, Double}

// lateBy is the delay of a late or swapped notification that names none.
const lateBy = 2 * time.Second

// Operations lists the operations a fault may name besides "*".
func Operations() []string {
	names := make([]string, 0, len(operations)+2)
	for _, op := range operations {
		names = append(names, op.name)
	}
	return append(names, opToken, opNotification)
}

func (f Fault) ofNotifications() bool {
	return f.Notifications != "" || f.Operation == opNotification
}

// validate tells everything that is wrong with a fault.
func (f Fault) validate() error {
	var problems []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	refuse(f.Operation != "" && f.Operation != anyOperation && !slices.Contains(Operations(), f.Operation),
		"operation %q: one of %q, %s", f.Operation, anyOperation, quoted(Operations()))
	refuse(f.Probability < 0 || f.Probability > 1, "probability %v: above 0 and at most 1", f.Probability)
	refuse(f.Count < 0, "count %d: above 0, or left out for no end", f.Count)
	refuse(f.Delay < 0, "delay %v: not negative", f.Delay)
	refuse(f.Status != 0 && (f.Status < 200 || f.Status > 599), "status %d: 200 to 599", f.Status)
	refuse(f.Status == 0 && (f.Code != "" || f.Message != "" || f.Shape != "" || f.RetryAfter != "" || f.Body != nil || f.AfterDoing),
		"code, message, shape, retryAfter, body and afterDoing need a status")
	refuse(f.Shape != "" && !slices.Contains(Shapes, f.Shape), "shape %q: one of %s", f.Shape, quoted(Shapes))
	refuse(f.Shape != "" && f.Shape != Textual && !isServiceCode(f.Code), "shape %q needs a decimal code", f.Shape)
	refuse(f.RetryAfter != "" && !isRetryAfter(f.RetryAfter), "retryAfter %q: seconds or an HTTP date", f.RetryAfter)
	refuse(count(f.Status != 0, f.DropAnswer, f.DropRequest) > 1, "only one of status, dropAnswer and dropRequest")
	if f.ofNotifications() {
		refuse(f.Operation != "" && f.Operation != anyOperation && f.Operation != opNotification,
			"notifications belongs to operation %q, not %q", opNotification, f.Operation)
		refuse(f.Status != 0 || f.DropAnswer || f.DropRequest, "a notification can only be lost, late, swapped or doubled")
		refuse(!slices.Contains(NotificationFaults, f.Notifications), "notifications %q: one of %s", f.Notifications, quoted(NotificationFaults))
	} else {
		refuse(f.Kind != "", "kind belongs to faults of notifications")
		refuse(f.Status == 0 && !f.DropAnswer && !f.DropRequest && f.Delay == 0,
			"it does nothing: set one of status, delay, dropAnswer, dropRequest, notifications")
	}
	refuse(f.Operation == opToken && f.CallRef != "", "a request for a token has no callRef")
	return errors.Join(problems...)
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

func isRetryAfter(text string) bool {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return seconds >= 0
	}
	_, err := http.ParseTime(text)
	return err == nil
}

// glob matches "*" and "?" over the whole text.
func glob(pattern, text string) bool {
	for pattern != "" {
		if pattern[0] == '*' {
			for pattern != "" && pattern[0] == '*' {
				pattern = pattern[1:]
			}
			for i := range len(text) + 1 {
				if glob(pattern, text[i:]) {
					return true
				}
			}
			return false
		}
		if text == "" || pattern[0] != '?' && pattern[0] != text[0] {
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}

// matchesPath holds a callRef pattern against the path of a callbackUri.
func matchesPath(pattern, path string) bool {
	if strings.Contains(pattern, "/") {
		return glob(pattern, path)
	}
	return slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool { return glob(pattern, segment) })
}
