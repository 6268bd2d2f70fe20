package main

import (
	"errors"
	"fmt"
	"io"

	"callbus/internal/commands"
	"callbus/internal/natsconn"
	"callbus/internal/producer"
)

// The exit codes.
const (
	exitStored    = 0 // or, with --wait, succeeded
	exitNotStored = 1
	exitUsage     = 2
	exitNotDone   = 3 // final, but not succeeded or not as expected
	exitNoOutcome = 4 // in --timeout
)

// exitError is an error that has chosen its exit code. With nothing to say it
// is silent, for what there was to say has been printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is a mistake on the command line or in the command itself.
func usage(err error) error { return &exitError{exitUsage, err} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// isNaming tells whether a producer or callRef cannot be one.
func isNaming(err error) bool {
	_, ok := errors.AsType[*commands.DecodeError](err)
	return ok
}

// exitCode prints what went wrong, once, and tells the process's exit code.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitStored
	}
	code := exitNotStored
	chosen, isChosen := errors.AsType[*exitError](err)
	conn, isConn := errors.AsType[*natsconn.Error](err)
	switch {
	case isChosen:
		code = chosen.code
	case isNaming(err), isConn && conn.Reason == natsconn.Settings:
		code = exitUsage
	case errors.Is(err, producer.ErrIDConflict):
		code = exitNotDone
	case errors.Is(err, producer.ErrNoOutcome):
		code = exitNoOutcome
	}
	if !isChosen || chosen.err != nil {
		fmt.Fprintf(stderr, "publisher: %v\n", err)
	}
	return code
}
