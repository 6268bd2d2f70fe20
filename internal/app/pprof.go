package app

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
)

// pprofMux serves the profiles of the process. They tell what is in memory, so
// they are for loopback only and have a listener of their own.
func pprofMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// checkPprof accepts nothing, or a host that is loopback whatever a name
// server says.
func checkPprof(listen string) error {
	if listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--pprof-listen is %q: want HOST:PORT, such as 127.0.0.1:6060", listen)
	}
	if !loopback(host) {
		return fmt.Errorf("--pprof-listen is %q: want a loopback address, such as 127.0.0.1:6060; profiles show what is in memory", listen)
	}
	return nil
}
