// Package signals turns SIGINT and SIGTERM into the end of a context, once.
package signals

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Context ends with the first signal; a second one kills the process as if it
// had never been caught. signal.NotifyContext, stopped when it is done, loses a
// second signal that comes before it is stopped. Call it once, in main.
func Context() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-got
		cancel()
		again := <-got
		signal.Reset()
		if s, ok := again.(syscall.Signal); ok {
			_ = syscall.Kill(os.Getpid(), s)
			time.Sleep(time.Second) // it is on its way, or ignored as in the background of a shell
		}
		os.Exit(1)
	}()
	return ctx
}
