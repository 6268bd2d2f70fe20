package streams

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// object is what Provision does alike for streams, buckets and consumers. Each
// function makes one attempt.
type object struct {
	name   string
	want   any
	have   func(context.Context) (any, error) // the server's configuration; errMissing when there is none
	create func(context.Context) error        // errOthers when it exists with other settings
	update func(context.Context) error
}

var (
	errMissing = errors.New("missing")
	errOthers  = errors.New("exists with other settings")
)

// objects lists everything, streams before what stands on them.
func (p *provisioner) objects(o Options) []object {
	var all []object
	for _, cfg := range o.streams() {
		all = append(all, p.stream(cfg))
	}
	for _, cfg := range o.buckets() {
		all = append(all, p.bucket(cfg))
	}
	for _, c := range o.consumers() {
		all = append(all, p.consumer(c))
	}
	return all
}

func (p *provisioner) stream(cfg jetstream.StreamConfig) object {
	return object{
		name: "stream " + cfg.Name, want: cfg,
		have: func(ctx context.Context) (any, error) {
			s, err := p.js.Stream(ctx, cfg.Name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return nil, errMissing
			}
			if err != nil {
				return nil, err
			}
			return s.CachedInfo().Config, nil
		},
		create: func(ctx context.Context) error {
			_, err := p.js.CreateStream(ctx, cfg)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return errOthers
			}
			return err
		},
		update: func(ctx context.Context) error { _, err := p.js.UpdateStream(ctx, cfg); return err },
	}
}

// bucketSettings is what matters of a bucket's backing stream: history,
// replicas, storage, age and whether messages may carry a TTL.
type bucketSettings struct {
	History  int64  `json:"history"`
	Replicas int    `json:"num_replicas"`
	Storage  string `json:"storage"`
	TTL      int64  `json:"ttl"`
	Marker   int64  `json:"limit_marker_ttl"`
}

func (p *provisioner) bucket(cfg jetstream.KeyValueConfig) object {
	return object{
		name: "bucket " + cfg.Bucket,
		want: bucketSettings{int64(cfg.History), cfg.Replicas, cfg.Storage.String(), int64(cfg.TTL), int64(cfg.LimitMarkerTTL)},
		have: func(ctx context.Context) (any, error) {
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
			return bucketSettings{st.History(), c.Replicas, c.Storage.String(), int64(st.TTL()), int64(st.LimitMarkerTTL())}, nil
		},
		create: func(ctx context.Context) error {
			_, err := p.js.CreateKeyValue(ctx, cfg)
			if errors.Is(err, jetstream.ErrBucketExists) {
				return errOthers
			}
			return err
		},
		update: func(ctx context.Context) error { _, err := p.js.UpdateKeyValue(ctx, cfg); return err },
	}
}

func (p *provisioner) consumer(c consumer) object {
	return object{
		name: "consumer " + c.stream + "/" + c.config.Name, want: c.config,
		have: func(ctx context.Context) (any, error) {
			con, err := p.js.Consumer(ctx, c.stream, c.config.Name)
			if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
				return nil, errMissing
			}
			if err != nil {
				return nil, err
			}
			return con.CachedInfo().Config, nil
		},
		create: func(ctx context.Context) error {
			_, err := p.js.CreateConsumer(ctx, c.stream, c.config)
			switch {
			case errors.Is(err, jetstream.ErrConsumerExists):
				return errOthers
			case errors.Is(err, jetstream.ErrStreamNotFound):
				return again(err) // it was there a moment ago, or another worker is making it
			}
			return err
		},
		update: func(ctx context.Context) error { _, err := p.js.UpdateConsumer(ctx, c.stream, c.config); return err },
	}
}
