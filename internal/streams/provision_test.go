package streams_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"callbus/internal/embednats"
	"callbus/internal/streams"
)

func connect(t *testing.T, o embednats.Options) jetstream.JetStream {
	t.Helper()
	srv, err := embednats.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	nc, err := nats.Connect(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestProvision(t *testing.T) {
	ctx := t.Context()
	js := connect(t, embednats.Options{})
	o := streams.DefaultOptions()

	if _, err := streams.Provision(ctx, js, o, streams.ModeVerify, false); !errors.Is(err, streams.ErrDiffers) || !strings.Contains(err.Error(), "stream CALL_COMMANDS: missing") {
		t.Fatalf("verify on an empty server = %v; want ErrDiffers naming what is missing", err)
	}
	plan, err := streams.Provision(ctx, js, o, streams.ModeCreate, true)
	if err != nil || len(plan.Differences) == 0 || len(plan.Created) != 0 {
		t.Fatalf("dry run = %+v, %v; want differences and nothing created", plan, err)
	}
	if plan, err = streams.Provision(ctx, js, o, streams.ModeCreate, false); err != nil || len(plan.Created) != 14 {
		t.Fatalf("create = %+v, %v; want 14 objects created", plan, err)
	}
	for _, mode := range []streams.Mode{streams.ModeCreate, streams.ModeVerify, streams.ModeReconcile} {
		if plan, err = streams.Provision(ctx, js, o, mode, false); err != nil || len(plan.Differences) != 0 {
			t.Fatalf("%s after create = %+v, %v; want no differences", mode, plan, err)
		}
	}

	o.ResultsMaxAge = 48 * time.Hour
	o.AckWait = 20 * time.Second
	_, err = streams.Provision(ctx, js, o, streams.ModeCreate, false)
	if !errors.Is(err, streams.ErrDiffers) || !strings.Contains(err.Error(), "stream CALL_RESULTS: max_age is 168h0m0s, want 48h0m0s") ||
		!strings.Contains(err.Error(), "consumer CALL_COMMANDS/urgent: ack_wait is 15s, want 20s") {
		t.Fatalf("create over other settings = %v; want each field named", err)
	}
	if plan, err = streams.Provision(ctx, js, o, streams.ModeReconcile, false); err != nil || len(plan.Updated) != 6 {
		t.Fatalf("reconcile = %+v, %v; want the stream and five consumers updated", plan, err)
	}
	if plan, err = streams.Provision(ctx, js, o, streams.ModeVerify, false); err != nil || len(plan.Differences) != 0 {
		t.Fatalf("verify after reconcile = %+v, %v; want no differences", plan, err)
	}
}

func TestProvisionTellsWhatSomebodyElseChanged(t *testing.T) {
	ctx := t.Context()
	js := connect(t, embednats.Options{})
	o := streams.DefaultOptions()
	if _, err := streams.Provision(ctx, js, o, streams.ModeCreate, false); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "CALL_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Discard = jetstream.DiscardOld
	cfg.MaxMsgs = 10
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	plan, err := streams.Provision(ctx, js, o, streams.ModeVerify, false)
	if !errors.Is(err, streams.ErrDiffers) || len(plan.Differences) != 2 {
		t.Fatalf("verify = %+v, %v; want discard and max_msgs named", plan, err)
	}
}

func TestCheckServerWithoutJetStream(t *testing.T) {
	js := connect(t, embednats.Options{NoJetStream: true})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := streams.CheckServer(ctx, js)
	if !errors.Is(err, streams.ErrServer) || !strings.Contains(err.Error(), "JetStream is not enabled on server 2.") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("CheckServer() = %v; want one line saying that JetStream is not enabled", err)
	}
}
