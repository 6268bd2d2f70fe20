package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
	"callbus/internal/streams"
	"callbus/test/chaos/fleet"
	"callbus/test/chaos/nemesis"
)

// simulated asks the simulated Graph's control API.
func simulated[T any](f *fleet.Fleet, path string) (answer T, err error) {
	resp, err := http.Get(f.SimURL() + "/_sim/" + path)
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("simulated Graph, %s: %w", path, err)
	}
	return answer, nil
}

func requests(f *fleet.Fleet) ([]graphsim.Request, error) {
	log, err := simulated[struct{ Requests []graphsim.Request }](f, "requests")
	return log.Requests, err
}

// liveCalls is how many calls the simulated Graph has.
func liveCalls(f *fleet.Fleet) int {
	stats, err := simulated[graphsim.Stats](f, "stats")
	if err != nil {
		return 0
	}
	return stats.Calls.Live
}

// inFlight is how many requests it has not answered yet.
func inFlight(f *fleet.Fleet) (n int, err error) {
	all, err := requests(f)
	for _, r := range all {
		if r.End.IsZero() {
			n++
		}
	}
	return n, err
}

func setFaults(f *fleet.Fleet, list ...graphsim.Fault) error {
	return nemesis.SetFaults(f.SimURL(), list)
}

// final waits for a command's final record.
func final(ctx context.Context, js jetstream.JetStream, key commands.Key, within time.Duration) (r commands.Result, err error) {
	s, err := js.Stream(ctx, commands.DefaultPrefix.Stream(streams.Results))
	if err != nil {
		return r, err
	}
	subject := commands.DefaultPrefix.Result(key)
	deadline := time.Now().Add(within)
	for {
		msg, err := s.GetLastMsgForSubject(ctx, subject)
		if err == nil && json.Unmarshal(msg.Data, &r) == nil && r.Final {
			return r, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return r, fmt.Errorf("%s %s has no final record within %s, its last is %q", key.Call(), key.ID, within, r.Status)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// command is a message of the queue.
func command(key commands.Key, a commands.Action, parameters string) *nats.Msg {
	body := map[string]any{"id": key.ID}
	if parameters != "" {
		body["parameters"] = json.RawMessage(parameters)
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // texts and valid JSON always marshal
	}
	return &nats.Msg{Subject: commands.DefaultPrefix.Command(key.Call(), a), Data: data}
}

// liveEntries is how many calls live by the registry.
func liveEntries(ctx context.Context, js jetstream.JetStream) (n int, err error) {
	kv, err := js.KeyValue(ctx, commands.DefaultPrefix.Registry())
	if err != nil {
		return 0, err
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return 0, err
	}
	defer func() { _ = w.Stop() }()
	for u := range w.Updates() {
		if u == nil { // all that is there has been read
			return n, nil
		}
		var e struct {
			CallID  string    `json:"callId"`
			EndedAt time.Time `json:"endedAt"`
		}
		if strings.HasPrefix(u.Key(), "_id.") || json.Unmarshal(u.Value(), &e) != nil || e.CallID == "" || !e.EndedAt.IsZero() {
			continue
		}
		n++
	}
	return 0, errors.New("the watch of the registry ended")
}
