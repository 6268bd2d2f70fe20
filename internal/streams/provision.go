package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Mode says what Provision may do.
type Mode string

// ModeCreate makes what is missing and refuses when something differs,
// ModeVerify refuses both, ModeReconcile also updates what differs.
const (
	ModeCreate    Mode = "create"
	ModeVerify    Mode = "verify"
	ModeReconcile Mode = "reconcile"
)

// ErrDiffers is wrapped when JetStream is not as callbus wants it and the mode
// does not allow a change.
var ErrDiffers = errors.New("streams differ from what callbus needs")

// Plan is what Provision found and did.
type Plan struct {
	Differences []Difference // before any change
	Created     []string
	Updated     []string
}

// Provision checks the server, then every stream, bucket and consumer, and
// makes or updates them as mode allows; with dryRun it changes nothing and
// reports all the same. What the server made of a new object is compared again:
// old servers drop settings they do not know. It never overwrites a difference
// in ModeCreate or ModeVerify: the error then wraps ErrDiffers and names every
// field.
func Provision(ctx context.Context, js jetstream.JetStream, o Options, mode Mode, dryRun bool) (Plan, error) {
	if err := CheckServer(ctx, js); err != nil {
		return Plan{}, err
	}
	p := &provisioner{js: js, mode: mode, dryRun: dryRun}
	for _, cfg := range o.streams() {
		if err := p.stream(ctx, cfg); err != nil {
			return p.plan, err
		}
	}
	for _, cfg := range o.buckets() {
		if err := p.bucket(ctx, cfg); err != nil {
			return p.plan, err
		}
	}
	for _, c := range o.consumers() {
		if err := p.consumer(ctx, c); err != nil {
			return p.plan, err
		}
	}
	if len(p.refused) > 0 && !dryRun {
		return p.plan, fmt.Errorf("%w: %s (`worker provision --streams=%s` makes it so)", ErrDiffers, joinDifferences(p.refused), p.remedy())
	}
	return p.plan, nil
}

// remedy is the mode that would put right what was refused.
func (p *provisioner) remedy() Mode {
	for _, d := range p.refused {
		if d.Field != "" {
			return ModeReconcile
		}
	}
	return ModeCreate
}

type provisioner struct {
	js      jetstream.JetStream
	mode    Mode
	dryRun  bool
	plan    Plan
	refused []Difference
}

// object is what Provision does alike for streams, buckets and consumers.
type object struct {
	name   string
	have   func() (any, error) // the server's configuration; errMissing when there is none
	want   any
	create func() error
	update func() error
}

var errMissing = errors.New("missing")

func (p *provisioner) settle(ob object) error {
	have, err := ob.have()
	missing := errors.Is(err, errMissing)
	if err != nil && !missing {
		return fmt.Errorf("look up %s: %w", ob.name, err)
	}
	var found []Difference
	if missing {
		found = []Difference{{Object: ob.name}}
	} else {
		found = diff(ob.name, have, ob.want)
	}
	if len(found) == 0 {
		return nil
	}
	p.plan.Differences = append(p.plan.Differences, found...)
	if p.dryRun {
		return nil
	}
	switch {
	case missing && p.mode != ModeVerify:
		if err := ob.create(); err != nil {
			return fmt.Errorf("create %s: %w", ob.name, err)
		}
		p.plan.Created = append(p.plan.Created, ob.name)
	case !missing && p.mode == ModeReconcile:
		if err := ob.update(); err != nil {
			return fmt.Errorf("update %s (%s): %w", ob.name, joinDifferences(found), err)
		}
		p.plan.Updated = append(p.plan.Updated, ob.name)
	default:
		p.refused = append(p.refused, found...)
		return nil
	}
	have, err = ob.have()
	if err != nil {
		return fmt.Errorf("check %s: %w", ob.name, err)
	}
	if left := diff(ob.name, have, ob.want); len(left) > 0 {
		return fmt.Errorf("%w: the server did not take the settings: %s", ErrDiffers, joinDifferences(left))
	}
	return nil
}

func (p *provisioner) stream(ctx context.Context, cfg jetstream.StreamConfig) error {
	return p.settle(object{
		name: "stream " + cfg.Name, want: cfg,
		have: func() (any, error) { return p.streamConfig(ctx, cfg.Name) },
		create: func() error {
			_, err := p.js.CreateStream(ctx, cfg)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return nil // another replica was faster; the comparison follows
			}
			return err
		},
		update: func() error { _, err := p.js.UpdateStream(ctx, cfg); return err },
	})
}

func (p *provisioner) streamConfig(ctx context.Context, name string) (any, error) {
	s, err := p.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, errMissing
	}
	if err != nil {
		return nil, err
	}
	return s.CachedInfo().Config, nil
}

// bucket compares what matters of a bucket's backing stream: history,
// replicas, storage, age and whether messages may carry a TTL.
func (p *provisioner) bucket(ctx context.Context, cfg jetstream.KeyValueConfig) error {
	type settings struct {
		History  int64  `json:"history"`
		Replicas int    `json:"num_replicas"`
		Storage  string `json:"storage"`
		TTL      int64  `json:"ttl"`
		Marker   int64  `json:"limit_marker_ttl"`
	}
	return p.settle(object{
		name: "bucket " + cfg.Bucket,
		want: settings{int64(cfg.History), cfg.Replicas, cfg.Storage.String(), int64(cfg.TTL), int64(cfg.LimitMarkerTTL)},
		have: func() (any, error) {
			kv, err := p.js.KeyValue(ctx, cfg.Bucket)
			if errors.Is(err, jetstream.ErrBucketNotFound) {
				return nil, errMissing
			}
			if err != nil {
				return nil, err
			}
			st, err := kv.Status(ctx)
			if err != nil {
				return nil, err
			}
			c := st.Config()
			return settings{st.History(), c.Replicas, c.Storage.String(), int64(st.TTL()), int64(st.LimitMarkerTTL())}, nil
		},
		create: func() error {
			_, err := p.js.CreateKeyValue(ctx, cfg)
			if errors.Is(err, jetstream.ErrBucketExists) {
				return nil
			}
			return err
		},
		update: func() error { _, err := p.js.UpdateKeyValue(ctx, cfg); return err },
	})
}

func (p *provisioner) consumer(ctx context.Context, c consumer) error {
	return p.settle(object{
		name: "consumer " + c.stream + "/" + c.config.Name, want: c.config,
		have: func() (any, error) {
			con, err := p.js.Consumer(ctx, c.stream, c.config.Name)
			if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
				return nil, errMissing
			}
			if err != nil {
				return nil, err
			}
			return con.CachedInfo().Config, nil
		},
		create: func() error {
			_, err := p.js.CreateConsumer(ctx, c.stream, c.config)
			if errors.Is(err, jetstream.ErrConsumerExists) {
				return nil
			}
			return err
		},
		update: func() error { _, err := p.js.UpdateConsumer(ctx, c.stream, c.config); return err },
	})
}
