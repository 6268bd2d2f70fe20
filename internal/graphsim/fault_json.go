package graphsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// faultJSON is a Fault as it is written.
type faultJSON struct {
	Operation     string            `json:"operation,omitempty"`
	CallRef       string            `json:"callRef,omitempty"`
	TenantID      string            `json:"tenant,omitempty"`
	Kind          string            `json:"kind,omitempty"`
	Probability   *float64          `json:"probability,omitempty"`
	Count         *int              `json:"count,omitempty"`
	Status        int               `json:"status,omitempty"`
	Code          json.RawMessage   `json:"code,omitempty"` // string or number
	Message       string            `json:"message,omitempty"`
	Shape         Shape             `json:"shape,omitempty"`
	RetryAfter    json.RawMessage   `json:"retryAfter,omitempty"` // header, duration or seconds
	Body          json.RawMessage   `json:"body,omitempty"`       // string, or an object
	AfterDoing    bool              `json:"afterDoing,omitempty"`
	Delay         string            `json:"delay,omitempty"`
	DropAnswer    bool              `json:"dropAnswer,omitempty"`
	DropRequest   bool              `json:"dropRequest,omitempty"`
	Notifications NotificationFault `json:"notifications,omitempty"`
}

// ParseFaults reads {"faults": […]} or a bare array. Unknown members and faults
// that make no sense are errors, which name the fault by its place.
func ParseFaults(data []byte) ([]Fault, error) {
	data = bytes.TrimSpace(data)
	var raw []json.RawMessage
	if bytes.HasPrefix(data, []byte("[")) {
		if err := decodeStrict(data, &raw); err != nil {
			return nil, fmt.Errorf("faults: %w", err)
		}
	} else {
		var list struct {
			Faults *[]json.RawMessage `json:"faults"`
		}
		if err := decodeStrict(data, &list); err != nil {
			return nil, fmt.Errorf("faults: %w", err)
		}
		if list.Faults == nil {
			return nil, errors.New(`faults: want {"faults": […]} or an array`)
		}
		raw = *list.Faults
	}
	faults := make([]Fault, len(raw))
	for i := range raw {
		if err := faults[i].UnmarshalJSON(raw[i]); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	return faults, nil
}

// UnmarshalJSON reads a fault and refuses one that makes no sense.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var in faultJSON
	if err := decodeStrict(data, &in); err != nil {
		return err
	}
	*f = Fault{
		Operation: in.Operation, CallRef: in.CallRef, TenantID: in.TenantID, Kind: in.Kind,
		Status: in.Status, Message: in.Message, Shape: in.Shape, AfterDoing: in.AfterDoing,
		DropAnswer: in.DropAnswer, DropRequest: in.DropRequest, Notifications: in.Notifications,
	}
	if in.Probability != nil {
		if f.Probability = *in.Probability; f.Probability == 0 {
			return errors.New("probability 0: above 0 and at most 1")
		}
	}
	if in.Count != nil {
		if f.Count = *in.Count; f.Count == 0 {
			return errors.New("count 0: above 0, or left out for no end")
		}
	}
	if in.Delay != "" {
		var err error
		if f.Delay, err = time.ParseDuration(in.Delay); err != nil {
			return fmt.Errorf("delay %q: a duration such as \"250ms\"", in.Delay)
		}
	}
	code, _, err := textOrNumber("code", in.Code)
	if err != nil {
		return err
	}
	f.Code = code
	retryAfter, isText, err := textOrNumber("retryAfter", in.RetryAfter)
	if err != nil {
		return err
	}
	if d, err := time.ParseDuration(retryAfter); isText && err == nil && !isRetryAfter(retryAfter) {
		retryAfter = formatSeconds(d)
	}
	f.RetryAfter = retryAfter
	if len(in.Body) > 0 {
		body := string(in.Body)
		if in.Body[0] == '"' {
			if err := json.Unmarshal(in.Body, &body); err != nil {
				return fmt.Errorf("body: %w", err)
			}
		}
		f.Body = &body
	}
	return f.validate()
}

// MarshalJSON writes a fault as UnmarshalJSON reads it.
func (f Fault) MarshalJSON() ([]byte, error) {
	out := faultJSON{
		Operation: f.Operation, CallRef: f.CallRef, TenantID: f.TenantID, Kind: f.Kind,
		Status: f.Status, Message: f.Message, Shape: f.Shape, AfterDoing: f.AfterDoing,
		DropAnswer: f.DropAnswer, DropRequest: f.DropRequest, Notifications: f.Notifications,
		Code: quote(f.Code), RetryAfter: quote(f.RetryAfter),
	}
	if f.Probability != 0 {
		out.Probability = &f.Probability
	}
	if f.Count != 0 {
		out.Count = &f.Count
	}
	if f.Delay != 0 {
		out.Delay = f.Delay.String()
	}
	if f.Body != nil {
		out.Body = strconv.AppendQuote(nil, "")
		if *f.Body != "" {
			out.Body = quote(*f.Body)
		}
	}
	return json.Marshal(out)
}

// quote is a JSON string; none for "".
func quote(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	quoted, _ := json.Marshal(text) // a string always marshals
	return quoted
}

func textOrNumber(member string, raw json.RawMessage) (text string, isText bool, err error) {
	if len(raw) == 0 {
		return "", false, nil
	}
	var number json.Number
	if json.Unmarshal(raw, &text) == nil {
		return text, true, nil
	}
	if json.Unmarshal(raw, &number) == nil {
		return number.String(), false, nil
	}
	return "", false, fmt.Errorf("%s %s: a string or a number", member, raw)
}

// decodeStrict reads exactly one value and no unknown members.
func decodeStrict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("nothing there, want JSON")
		}
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}

// formatSeconds writes a Retry-After.
func formatSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}
