package nemesis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"callbus/internal/graphsim"
)

// always are the faults that Graph has all the time, in small doses.
var always = []graphsim.Fault{
	{Operation: "notification", Notifications: graphsim.Lose, Probability: 0.02},
	{Operation: "notification", Notifications: graphsim.Late, Probability: 0.03, Delay: 3 * time.Second},
	{Operation: "notification", Notifications: graphsim.Swap, Probability: 0.03, Delay: time.Second},
	{Operation: "notification", Notifications: graphsim.Double, Probability: 0.05},
	{Operation: "*", Probability: 0.01, DropAnswer: true},
	{Operation: "*", Probability: 0.005, DropRequest: true},
	{Operation: "*", Probability: 0.01, Status: 429, RetryAfter: "1"},
	{Operation: "*", Probability: 0.005, Status: 503, RetryAfter: "1"},
	{Operation: "*", Probability: 0.005, Status: 504, AfterDoing: true, Body: new(string)},
	{Operation: "*", Probability: 0.003, Status: 500, Body: new(string)},
	{Operation: "*", Probability: 0.002, Status: 401},
	{Operation: "*", Probability: 0.05, Delay: 300 * time.Millisecond},
	{Operation: "createCall", Probability: 0.01, Delay: 3 * time.Second},
}

// bursts are what comes over Graph now and then, for seconds.
var bursts = []struct {
	name   string
	faults []graphsim.Fault
}{
	{"429 on everything", []graphsim.Fault{{Operation: "*", Probability: 0.5, Status: 429, RetryAfter: "1"}}},
	{"429 on places", []graphsim.Fault{{Operation: "createCall", Probability: 0.8, Status: 429, RetryAfter: "2"}}},
	{"503", []graphsim.Fault{{Operation: "*", Probability: 0.5, Status: 503, RetryAfter: "1"}}},
	{"502 and 504 after doing it", []graphsim.Fault{
		{Operation: "*", Probability: 0.2, Status: 504, AfterDoing: true, Body: new(string)},
		{Operation: "*", Probability: 0.1, Status: 502, AfterDoing: true, Body: new(string)},
	}},
	{"500 without a word", []graphsim.Fault{{Operation: "*", Probability: 0.3, Status: 500, Body: new(string)}}},
	{"answers lost", []graphsim.Fault{{Operation: "*", Probability: 0.3, DropAnswer: true}}},
	{"requests lost", []graphsim.Fault{{Operation: "*", Probability: 0.3, DropRequest: true}}},
	{"slow", []graphsim.Fault{{Operation: "*", Probability: 0.7, Delay: 1200 * time.Millisecond}}},
	{"notifications lost", []graphsim.Fault{{Operation: "notification", Probability: 0.5, Notifications: graphsim.Lose}}},
	{"notifications late", []graphsim.Fault{{Operation: "notification", Probability: 0.5, Notifications: graphsim.Late, Delay: 4 * time.Second}}},
	{"notifications swapped", []graphsim.Fault{{Operation: "notification", Probability: 0.7, Notifications: graphsim.Swap, Delay: time.Second}}},
	{"notifications doubled", []graphsim.Fault{{Operation: "notification", Probability: 0.9, Notifications: graphsim.Double}}},
	{"answers and notifications lost", []graphsim.Fault{
		{Operation: "*", Probability: 0.2, DropAnswer: true}, {Operation: "notification", Probability: 0.3, Notifications: graphsim.Lose},
	}},
}

// weather makes Graph bad until ctx ends.
func (n *Nemesis) weather(ctx context.Context) {
	for ctx.Err() == nil {
		_ = n.faults(always)
		pause(ctx, n.between(n.opts.Every, 4*n.opts.Every))
		if ctx.Err() != nil {
			return
		}
		b := bursts[n.intN(len(bursts))]
		end := n.begin("faults", "graph", b.name)
		_ = n.faults(append(b.faults[:len(b.faults):len(b.faults)], always...))
		pause(ctx, n.between(time.Second, 4*time.Second))
		end()
	}
}

func (n *Nemesis) faults(list []graphsim.Fault) error { return SetFaults(n.fleet.SimURL(), list) }

// SetFaults replaces the faults of the simulated Graph at url.
func SetFaults(url string, list []graphsim.Fault) error {
	if list == nil {
		list = []graphsim.Fault{}
	}
	body, err := json.Marshal(map[string]any{"faults": list})
	if err != nil {
		return fmt.Errorf("encode faults: %w", err)
	}
	req, err := http.NewRequest(http.MethodPut, url+"/_sim/faults", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("set faults: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("set faults: %s: %s", resp.Status, text)
	}
	return nil
}
