package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"callbus/internal/commands"
	"callbus/internal/graphsim"
)

// busyOffice has a request at Graph that is answered only after delay.
func busyOffice(t *testing.T, delay time.Duration) (*office, commands.Key) {
	t.Helper()
	o := openOffice(t, graphsim.Options{ClientSecret: clientSecret}, "AZURE_CLIENT_SECRET="+clientSecret,
		"CALLBUS_GRAPH_TIMEOUT=50s", "CALLBUS_ACK_WAIT=60s", "CALLBUS_GRACE_PERIOD=60s")
	o.eventually("ready", o.ready)
	o.faults(graphsim.Fault{Operation: "createCall", Delay: delay})
	k := o.send("a", "p", commands.Place, toUser)
	o.eventually("a request at Graph", func() bool { return created(o) == 1 })
	return o, k
}

// signal sends a signal and does not wait for what it does.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// recorded is the command's last record.
func (o *office) recorded(k commands.Key) commands.Result {
	o.t.Helper()
	return o.reaches(k, "recorded", func(commands.Result) bool { return true })
}

// TestOneSignal lets the request at Graph finish, records it and ends with exit
// code 0, long before the grace period has.
func TestOneSignal(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			o, k := busyOffice(t, 2*time.Second)
			if code, _ := o.stop(sig); code != 0 {
				t.Errorf("exit %d; want 0", code)
			}
			r := o.recorded(k)
			if calls := o.sim.Sim.Calls(); len(calls) != 1 || created(o) != 1 || r.CallID != calls[0].ID {
				t.Errorf("record = %s, call %q, Graph has %d calls; want the one that was asked for, recorded", r.Status, r.CallID, len(calls))
			}
		})
	}
}

// TestASecondSignal ends the process at once, whatever is at Graph; what was
// begun is in the journal for the next worker.
func TestASecondSignal(t *testing.T) {
	t.Parallel()
	for _, signals := range [][2]syscall.Signal{
		{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGINT}, {syscall.SIGTERM, syscall.SIGINT},
	} {
		t.Run(signals[0].String()+" and "+signals[1].String(), func(t *testing.T) {
			t.Parallel()
			o, k := busyOffice(t, time.Hour)
			o.signal(signals[0])
			o.printed(&o.err, `("msg":"stopping")`)
			if code, took := o.stop(signals[1]); code == 0 || took > 10*time.Second {
				t.Errorf("exit %d after %s; want it gone at once, and not as after a clean stop", code, took)
			}
			// One that had ended by itself, before the second signal, would not say so.
			if status := o.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != signals[1] {
				t.Errorf("ended %s; want by the signal", o.cmd.ProcessState)
			}
			if text := o.process.err.String(); strings.Contains(text, `"msg":"stopped"`) || strings.Contains(text, "goroutine ") {
				t.Errorf("standard error = %s; want no clean stop and no trace", text)
			}
			if r := o.recorded(k); r.Status != commands.Started {
				t.Errorf("record = %s; want started: nobody knows", r.Status)
			}
		})
	}
}
