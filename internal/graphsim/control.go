package graphsim

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

var errNoCall = errors.New("no such live call")

// routeControl registers the control API. It needs no token and answers loopback
// only.
func (s *Sim) routeControl(mux *http.ServeMux) {
	handle := func(pattern string, h func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			host, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil || !isLoopback(host) {
				writeJSON(w, http.StatusForbidden, object{"error": "the control API answers loopback only"})
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
			switch body, err := h(r); {
			case errors.Is(err, errNoCall):
				writeJSON(w, http.StatusNotFound, object{"error": err.Error()})
			case err != nil:
				writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
			case body == nil:
				w.WriteHeader(http.StatusNoContent)
			default:
				writeJSON(w, http.StatusOK, body)
			}
		})
	}
	handle("/_sim/", func(r *http.Request) (any, error) {
		return nil, fmt.Errorf("%s %s: the control API has GET calls, calls/{id}, stats, requests, faults, limits; PUT faults, limits; DELETE faults, calls; POST incoming, calls/{id}/hangup, calls/{id}/hold, calls/{id}/roster, calls/{id}/content-sharing, keys/rotate", r.Method, r.URL.Path)
	})
	handle("GET /_sim/calls", func(*http.Request) (any, error) { return object{"calls": s.Calls()}, nil })
	handle("GET /_sim/calls/{id}", func(r *http.Request) (any, error) {
		c, ok := s.Call(r.PathValue("id"))
		if !ok {
			return nil, errNoCall
		}
		return c, nil
	})
	handle("DELETE /_sim/calls", func(*http.Request) (any, error) { s.Reset(); return nil, nil })
	handle("GET /_sim/stats", func(*http.Request) (any, error) { return s.Stats(), nil })
	handle("GET /_sim/requests", func(*http.Request) (any, error) { return object{"requests": s.Requests()}, nil })
	handle("GET /_sim/limits", func(*http.Request) (any, error) { return s.Limits(), nil })
	handle("PUT /_sim/limits", s.putLimits)
	handle("GET /_sim/faults", func(*http.Request) (any, error) { return object{"faults": s.Faults()}, nil })
	handle("PUT /_sim/faults", s.putFaults)
	handle("DELETE /_sim/faults", func(*http.Request) (any, error) { return nil, s.SetFaults() })
	handle("POST /_sim/incoming", func(r *http.Request) (any, error) {
		var in IncomingCall
		if err := readStrict(r, &in); err != nil {
			return nil, err
		}
		id, err := s.Incoming(in)
		return object{"id": id}, err
	})
	handle("POST /_sim/calls/{id}/hangup", func(r *http.Request) (any, error) {
		if !s.Hangup(r.PathValue("id")) {
			return nil, errNoCall
		}
		return nil, nil
	})
	act := func(do func(id, action string) error) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			var in struct {
				Action string `json:"action"`
			}
			if r.ContentLength != 0 {
				if err := readStrict(r, &in); err != nil {
					return nil, err
				}
			}
			return nil, do(r.PathValue("id"), in.Action)
		}
	}
	handle("POST /_sim/calls/{id}/hold", act(s.Hold))
	handle("POST /_sim/calls/{id}/content-sharing", act(s.ShareContent))
	handle("POST /_sim/calls/{id}/roster", func(r *http.Request) (any, error) {
		var in RosterChange
		if err := readStrict(r, &in); err != nil {
			return nil, err
		}
		return nil, s.ChangeRoster(r.PathValue("id"), in)
	})
	handle("POST /_sim/keys/rotate", func(*http.Request) (any, error) {
		kid, err := s.RotateKey()
		return object{"kid": kid}, err
	})
}

func (s *Sim) putLimits(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var l Limits
	if err := l.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	if err := s.SetLimits(l); err != nil {
		return nil, err
	}
	return s.Limits(), nil
}

func (s *Sim) putFaults(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	faults, err := ParseFaults(data)
	if err != nil {
		return nil, err
	}
	if err := s.SetFaults(faults...); err != nil {
		return nil, err
	}
	return object{"faults": s.Faults()}, nil
}

func readStrict(r *http.Request, into any) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := decodeStrict(data, into); err != nil {
		return fmt.Errorf("request body: %w", err)
	}
	return nil
}
