package nemesis

import (
	"context"
	"fmt"
	"time"

	"callbus/test/chaos/fleet"
)

// blows are the kinds of damage, by weight.
var blows = []blow{
	{"kill a worker", 4, func(n *Nemesis, ctx context.Context) {
		n.withWorker(func(p *fleet.Proc) {
			defer n.begin("kill", p.Name(), "SIGKILL")()
			p.Kill()
			pause(ctx, n.between(100*time.Millisecond, 3*time.Second))
			n.revive(ctx, p)
		})
	}},
	{"freeze a worker", 3, func(n *Nemesis, ctx context.Context) {
		n.withWorker(func(p *fleet.Proc) {
			defer n.begin("pause", p.Name(), "SIGSTOP")()
			_ = p.Pause()
			pause(ctx, n.between(time.Second, n.opts.Lease*3/2))
			_ = p.Continue()
		})
	}},
	{"stop a worker", 2, func(n *Nemesis, ctx context.Context) {
		n.withWorker(func(p *fleet.Proc) {
			defer n.begin("term", p.Name(), "SIGTERM")()
			_ = p.Term()
			wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
			defer cancel()
			if err := p.Wait(wait); err != nil {
				p.Kill()
			}
			n.stopped(p.ExitCode())
			n.revive(ctx, p)
		})
	}},
	{"kill a NATS server", 2, func(n *Nemesis, ctx context.Context) {
		n.withNATS(func(p *fleet.Proc) {
			defer n.begin("natsKill", p.Name(), "SIGKILL")()
			p.Kill()
			pause(ctx, n.between(100*time.Millisecond, 2*time.Second))
			n.revive(ctx, p)
		})
	}},
	{"kill a stream's leader", 2, func(n *Nemesis, ctx context.Context) {
		stream := []string{"CALL_RESULTS", "CALL_COMMANDS", "KV_CALLS"}[n.intN(3)]
		leader := n.opts.Leader(stream)
		for _, p := range n.fleet.NATS() {
			if p.Name() != leader || len(n.fleet.NATS()) == 1 {
				continue
			}
			n.with(p, func(p *fleet.Proc) {
				defer n.begin("natsKill", p.Name(), "SIGKILL, the leader of "+stream)()
				p.Kill()
				pause(ctx, n.between(500*time.Millisecond, 4*time.Second))
				n.revive(ctx, p)
			})
		}
	}},
	{"freeze a NATS server", 1, func(n *Nemesis, ctx context.Context) {
		n.withNATS(func(p *fleet.Proc) {
			defer n.begin("pause", p.Name(), "SIGSTOP")()
			_ = p.Pause()
			pause(ctx, n.between(200*time.Millisecond, 3*time.Second))
			_ = p.Continue()
		})
	}},
	{"cut a worker off from NATS", 3, func(n *Nemesis, ctx context.Context) {
		i := n.intN(len(n.fleet.Workers()))
		n.damage(ctx, n.fleet.WorkerNATS(i), n.between(200*time.Millisecond, n.opts.Lease*3/2))
	}},
	{"cut a worker off from Graph", 3, func(n *Nemesis, ctx context.Context) {
		i := n.intN(len(n.fleet.Workers()))
		n.damage(ctx, []*fleet.Proxy{n.fleet.WorkerGraph(i)}, n.between(50*time.Millisecond, 4*time.Second))
	}},
	{"cut notifications off", 1, func(n *Nemesis, ctx context.Context) {
		n.damage(ctx, []*fleet.Proxy{n.fleet.Callbacks().Proxy}, n.between(200*time.Millisecond, 3*time.Second))
	}},
	{"part NATS servers", 2, func(n *Nemesis, ctx context.Context) {
		if routes := n.fleet.Routes(); len(routes) > 0 {
			n.damage(ctx, routes[n.intN(len(routes)):][:1], n.between(200*time.Millisecond, 5*time.Second))
		}
	}},
}

func (n *Nemesis) withWorker(strike func(*fleet.Proc)) {
	all := n.fleet.Workers()
	n.with(all[n.intN(len(all))], strike)
}

func (n *Nemesis) withNATS(strike func(*fleet.Proc)) {
	all := n.fleet.NATS()
	n.with(all[n.intN(len(all))], strike)
}

func (n *Nemesis) with(p *fleet.Proc, strike func(*fleet.Proc)) {
	if !n.take(p) {
		return
	}
	defer n.release(p)
	strike(p)
}

// damage cuts, freezes or slows connections for a while.
func (n *Nemesis) damage(ctx context.Context, proxies []*fleet.Proxy, d time.Duration) {
	kind := []string{"cut", "freeze", "delay"}[n.intN(3)]
	delay := n.between(5*time.Millisecond, 150*time.Millisecond)
	for _, p := range proxies {
		defer n.begin(kind, p.Name(), fmt.Sprintf("for %s", d.Round(time.Millisecond)))()
		switch kind {
		case "cut":
			p.Cut()
		case "freeze":
			p.Freeze()
		default:
			p.Delay(delay, delay)
		}
	}
	pause(ctx, d)
	for _, p := range proxies {
		if err := p.Heal(); err != nil && n.opts.Log != nil {
			fmt.Fprintf(n.opts.Log, "%s does not heal: %v\n", p.Name(), err)
		}
	}
}
