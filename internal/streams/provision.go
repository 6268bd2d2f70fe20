package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
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

// ProvisionOption is an extra of one [Provision].
type ProvisionOption func(*provisioner)

// Waiting makes Provision say, once, why it has to wait: for the log.
func Waiting(tell func(why error)) ProvisionOption {
	return func(p *provisioner) { p.tell = tell }
}

// Provision checks the server, then every stream, bucket and consumer, and
// makes or updates them as mode allows; with dryRun it changes nothing and
// reports all the same. What the server made of a new object is compared again:
// old servers drop settings they do not know. It never overwrites a difference
// in ModeCreate or ModeVerify: the error then wraps ErrDiffers and names every
// field.
//
// Several may provision the same at once. What has no leader just now is asked
// again, each object for [LeaderWait] at most; the error then wraps ErrNoLeader.
// A server that cannot carry callbus and, in ModeVerify, what is missing are
// told at once.
func Provision(ctx context.Context, js jetstream.JetStream, o Options, mode Mode, dryRun bool, options ...ProvisionOption) (Plan, error) {
	p := &provisioner{js: js, mode: mode, dryRun: dryRun}
	for _, option := range options {
		option(p)
	}
	if err := AwaitLeader(ctx, p.waiting, func(ctx context.Context) error { return CheckServer(ctx, js) }); err != nil {
		return Plan{}, err
	}
	for _, ob := range p.objects(o) {
		if err := p.settle(ctx, ob); err != nil {
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
	tell    func(error) // or nil
	plan    Plan
	refused []Difference
}

// waiting tells why there is a wait, the first time.
func (p *provisioner) waiting(why error) {
	if p.tell != nil {
		p.tell(why)
		p.tell = nil
	}
}

// await is [AwaitLeader] for a server that has answered before: that nobody
// listens now passes too.
func (p *provisioner) await(ctx context.Context, ask func(context.Context) error) error {
	return awaitLeader(ctx, LeaderWait, p.waiting, func(ctx context.Context) error {
		err := ask(ctx)
		if electing(err) || errors.Is(err, nats.ErrNoResponders) {
			return again(err)
		}
		return err
	})
}

func (p *provisioner) settle(ctx context.Context, ob object) error {
	have, err := p.look(ctx, ob)
	switch {
	case errors.Is(err, errMissing) && (p.dryRun || p.mode == ModeVerify):
		p.refuse([]Difference{{Object: ob.name}})
		return nil
	case errors.Is(err, errMissing):
		p.plan.Differences = append(p.plan.Differences, Difference{Object: ob.name})
		return p.create(ctx, ob)
	case err != nil:
		return fmt.Errorf("look up %s: %w", ob.name, err)
	}
	return p.compare(ctx, ob, have)
}

// look asks for an object's configuration; errMissing when there is none.
func (p *provisioner) look(ctx context.Context, ob object) (have any, err error) {
	err = p.await(ctx, func(ctx context.Context) error {
		have, err = ob.have(ctx)
		return err
	})
	return have, err
}

// refuse notes differences that are not to be put right.
func (p *provisioner) refuse(found []Difference) {
	p.plan.Differences = append(p.plan.Differences, found...)
	if !p.dryRun {
		p.refused = append(p.refused, found...)
	}
}

// compare puts right what differs, if the mode allows it.
func (p *provisioner) compare(ctx context.Context, ob object, have any) error {
	found := diff(ob.name, have, ob.want)
	if len(found) == 0 {
		return nil
	}
	if p.dryRun || p.mode != ModeReconcile {
		p.refuse(found)
		return nil
	}
	p.plan.Differences = append(p.plan.Differences, found...)
	if err := p.await(ctx, ob.update); err != nil {
		return fmt.Errorf("update %s (%s): %w", ob.name, joinDifferences(found), err)
	}
	p.plan.Updated = append(p.plan.Updated, ob.name)
	have, err := p.look(ctx, ob)
	if err != nil {
		return fmt.Errorf("check %s: %w", ob.name, err)
	}
	return taken(ob, have)
}

// create makes what is missing and waits until it is there. Another worker may
// be making the same: a server then answers either of them, or none, and says
// for a while that what it is making is missing. So whatever became of the
// request, what counts is what is found afterwards.
func (p *provisioner) create(ctx context.Context, ob object) error {
	var have any
	var others, asked bool
	err := p.await(ctx, func(ctx context.Context) (err error) {
		if asked {
			if have, err = ob.have(ctx); !errors.Is(err, errMissing) {
				return err
			}
		}
		asked = true
		if err = ob.create(ctx); errors.Is(err, errOthers) {
			others, err = true, nil
		}
		if err != nil {
			return err
		}
		if have, err = ob.have(ctx); errors.Is(err, errMissing) {
			return again(err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create %s: %w", ob.name, err)
	}
	if others {
		return p.compare(ctx, ob, have)
	}
	p.plan.Created = append(p.plan.Created, ob.name)
	return taken(ob, have)
}

// taken checks what the server made of the settings it was given.
func taken(ob object, have any) error {
	if left := diff(ob.name, have, ob.want); len(left) > 0 {
		return fmt.Errorf("%w: the server did not take the settings: %s", ErrDiffers, joinDifferences(left))
	}
	return nil
}
