package graphsim

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// armedFault is a fault in force.
type armedFault struct {
	Fault
	fired int
}

// faultSite is where a fault may strike.
type faultSite struct {
	operation   string
	callbackURI string
	tenant      string
	kind        string // of a notification
}

// SetFaults replaces the faults. It refuses the whole list if one makes no sense.
func (s *Sim) SetFaults(faults ...Fault) error {
	for i, f := range faults {
		if err := f.validate(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setFaultsLocked(faults)
	return nil
}

func (s *Sim) setFaultsLocked(faults []Fault) {
	s.faults = nil
	for _, f := range faults {
		s.faults = append(s.faults, &armedFault{Fault: f})
	}
}

// Faults returns the faults in force; those whose count is used up are gone.
func (s *Sim) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Fault{}
	for _, f := range s.faults {
		if f.Count == 0 || f.fired < f.Count {
			list = append(list, f.Fault)
		}
	}
	return list
}

// strike is what faults do to one request; the zero value is nothing.
type strike struct {
	delay time.Duration
	fault *Fault
}

// faultForLocked finds what goes wrong at a site.
func (s *Sim) faultForLocked(site faultSite) strike {
	var hit strike
	for _, f := range s.faults {
		if !f.matches(site) || f.Count > 0 && f.fired >= f.Count || f.Probability > 0 && s.random.Float64() >= f.Probability {
			continue
		}
		f.fired++
		hit.delay += f.Delay
		if f.Status != 0 || f.DropAnswer || f.DropRequest || f.Notifications != "" {
			hit.fault = &f.Fault
			return hit
		}
	}
	return hit
}

func (f *armedFault) matches(site faultSite) bool {
	switch {
	case f.ofNotifications() != (site.operation == opNotification):
		return false
	case site.operation == opNotification:
		if f.Kind != "" && f.Kind != site.kind {
			return false
		}
	case f.Operation == "" || f.Operation == anyOperation:
		if site.operation == opToken || site.operation == opUnknown {
			return false
		}
	case f.Operation != site.operation:
		return false
	}
	if f.TenantID != "" && !strings.EqualFold(f.TenantID, site.tenant) {
		return false
	}
	if f.CallRef == "" {
		return true
	}
	u, err := url.Parse(site.callbackURI)
	return err == nil && site.callbackURI != "" && matchesPath(f.CallRef, u.Path)
}

func (h strike) dropRequest() bool { return h.fault != nil && h.fault.DropRequest }
func (h strike) dropAnswer() bool  { return h.fault != nil && h.fault.DropAnswer }
func (h strike) afterDoing() bool {
	return h.fault != nil && h.fault.Status != 0 && h.fault.AfterDoing
}

// name is how the log calls the strike.
func (h strike) name() string {
	switch {
	case h.fault == nil && h.delay > 0:
		return "delay"
	case h.fault == nil:
		return ""
	case h.fault.DropAnswer:
		return "dropAnswer"
	case h.fault.DropRequest:
		return "dropRequest"
	case h.fault.Notifications != "":
		return string(h.fault.Notifications)
	}
	return "status"
}

// answer is what a fault answers; early is true if nothing is to be done before.
func (h strike) answer() (a answer, early bool) {
	if h.fault == nil || h.fault.Status == 0 {
		return answer{}, false
	}
	f := h.fault
	e := &apiError{status: f.Status, code: f.Code, message: f.Message, shape: f.Shape, retryAfter: f.RetryAfter}
	if e.code == "" {
		e.code = gatewayCode(f.Status)
	}
	if e.message == "" {
		e.message = "Simulated fault."
	}
	if e.shape == "" && isServiceCode(e.code) {
		e.shape = Numeric
		if e.code == "7503" || e.code == "8529" { // as they were seen
			e.shape = Wrapped
		}
	}
	a = answer{status: f.Status, err: e}
	if f.Body != nil {
		a.body = rawBody(*f.Body)
	} else if f.Status < 300 {
		a.err = nil // an empty success
	}
	return a, !f.AfterDoing
}

// tokenAnswer is what a fault answers instead of a token, and its raw body.
func (h strike) tokenAnswer() (*oauthError, *string) {
	if h.fault == nil || h.fault.Status == 0 {
		return nil, nil
	}
	f := h.fault
	e := &oauthError{status: f.Status, code: f.Code, aadsts: 90033, message: f.Message, retryAfter: f.RetryAfter}
	if e.code == "" {
		e.code = "temporarily_unavailable"
	}
	if e.message == "" {
		e.message = "AADSTS90033: A transient error has occurred. Please try again."
	}
	return e, f.Body
}
