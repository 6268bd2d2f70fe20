package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ErrNotRunning is wrapped when a process that has ended is to be told something.
var ErrNotRunning = errors.New("the process is not running")

// Proc is a process that can be ended and started again, with the same
// arguments, environment and ports. All methods may be called at any time, from
// any goroutine.
type Proc struct {
	name      string
	path      string
	args, env []string
	log       string // file
	// probe asks once whether the process is ready.
	probe func(context.Context) error

	mu  sync.Mutex
	run *run
}

// run is one life of a process.
type run struct {
	process *os.Process
	ended   chan struct{} // closed when it has ended
	state   *os.ProcessState
}

// Name is "worker-1", "nats-2", "graphsim" and so on; a NATS server has the name
// in its cluster too.
func (p *Proc) Name() string { return p.name }

// LogFile is where both outputs of the process go, one life after the other.
func (p *Proc) LogFile() string { return p.log }

// Pid is the process id of the last life.
func (p *Proc) Pid() int { return p.current().process.Pid }

// Alive tells whether the process has not ended. One that is stopped is alive.
func (p *Proc) Alive() bool {
	select {
	case <-p.current().ended:
		return false
	default:
		return true
	}
}

// ExitCode is how the last life ended: -1 when a signal ended it, and while it
// lasts.
func (p *Proc) ExitCode() int {
	r := p.current()
	select {
	case <-r.ended:
		return r.state.ExitCode()
	default:
		return -1
	}
}

// Kill sends SIGKILL and waits for the end. A process that has ended is left
// alone.
func (p *Proc) Kill() {
	r := p.current()
	_ = r.process.Kill() // the only error is that it has ended
	<-r.ended
}

// Term sends SIGTERM and does not wait. A stopped process gets it when it goes on.
func (p *Proc) Term() error { return p.signal(p.current(), syscall.SIGTERM) }

// Pause sends SIGSTOP and returns when the process stands still.
func (p *Proc) Pause() error {
	r := p.current()
	if err := p.signal(r, syscall.SIGSTOP); err != nil {
		return err
	}
	for !stopped(r.process.Pid) {
		select {
		case <-r.ended:
			return fmt.Errorf("%s: %w", p.name, ErrNotRunning)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// Continue sends SIGCONT.
func (p *Proc) Continue() error { return p.signal(p.current(), syscall.SIGCONT) }

// Paused tells whether the process stands still.
func (p *Proc) Paused() bool { return p.Alive() && stopped(p.Pid()) }

// Wait blocks until the process has ended, or ctx has; then it returns its error.
func (p *Proc) Wait(ctx context.Context) error {
	select {
	case <-p.current().ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", p.name, context.Cause(ctx))
	}
}

// Restart starts a process that has ended. It does not wait until it is ready.
func (p *Proc) Restart(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("restart %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.run.ended:
	default:
		return fmt.Errorf("restart %s: it is running", p.name)
	}
	return p.startLocked()
}

// Ready blocks until the process is ready, has ended, or ctx has ended: a worker
// when it says so, a NATS server when it is healthy and current in its cluster.
func (p *Proc) Ready(ctx context.Context) error {
	r := p.current()
	for {
		err := p.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.name, err)
		case <-r.ended:
			return fmt.Errorf("%s ended before it was ready, %s: %w: last logged: %s", p.name, r.state, ErrNotRunning, lastLine(p.log))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Revive does what a supervisor does: it starts the process as often as it ends,
// until it is ready or ctx has ended.
func (p *Proc) Revive(ctx context.Context) error {
	for {
		if !p.Alive() {
			if err := p.Restart(ctx); err != nil {
				return err
			}
		}
		err := p.Ready(ctx)
		if !errors.Is(err, ErrNotRunning) {
			return err
		}
		if !until(ctx, time.Now().Add(200*time.Millisecond)) {
			return err
		}
	}
}

func (p *Proc) current() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

func (p *Proc) signal(r *run, sig os.Signal) error {
	select {
	case <-r.ended:
		return fmt.Errorf("%s: %w", p.name, ErrNotRunning)
	default:
	}
	if err := r.process.Signal(sig); err != nil {
		return fmt.Errorf("%s: %w: %w", p.name, ErrNotRunning, err)
	}
	return nil
}

// start begins the first life.
func (p *Proc) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startLocked()
}

// startLocked starts the process and a goroutine that waits for its end, which
// Kill and Wait wait for. The goroutine keeps its thread: the kernel ends the
// process when the thread that started it ends.
func (p *Proc) startLocked() error {
	log, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r := &run{ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // ProcessState says how it ended
		r.state = cmd.ProcessState
		close(r.ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	r.process = cmd.Process
	p.run = r
	return nil
}
