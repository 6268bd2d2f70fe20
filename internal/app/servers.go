package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"callbus/internal/callbacks"
	"callbus/internal/calls"
	"callbus/internal/graph"
	"callbus/internal/metrics"
)

func (w *Worker) openReceiver(ctx context.Context) error {
	o := w.opts
	var err error
	w.auth, err = callbacks.NewAuth(ctx, callbacks.AuthOptions{
		OIDCURLs: o.CallbackOIDCURLs, Issuers: o.CallbackIssuers, Audience: o.CallbackAudience, Tenants: o.Tenants,
		RequireTID: o.CallbackTID, Logger: w.log,
	})
	if err != nil {
		return fmt.Errorf("%w: callbacks: %w", ErrOptions, err)
	}
	base, err := url.Parse(o.CallbackURL)
	if err != nil {
		return fmt.Errorf("%w: --callback-url: %w", ErrOptions, err)
	}
	store, err := w.store(ctx)
	if err != nil {
		return err
	}
	w.receiver, err = callbacks.NewReceiver(callbacks.Options{
		BasePath: strings.TrimRight(base.Path, "/"), Auth: w.auth, Store: store, Lookup: calls.NewRegistry(w.js, o.Streams.Prefix).Owner,
		IncomingRoute: o.IncomingRoute, Counter: w.metrics, Logger: w.log,
	})
	if err != nil {
		return fmt.Errorf("%w: callbacks: %w", ErrOptions, err)
	}
	server := callbacks.ServerOptions{MaxConnections: o.CallbackMaxConnections, Counter: w.metrics, Logger: w.log}
	if o.CallbackTLSCert != "" {
		if server.Certificate, err = callbacks.LoadCertificate(o.CallbackTLSCert, o.CallbackTLSKey, w.log); err != nil {
			return fmt.Errorf("%w: --callback-tls-cert, --callback-tls-key: %w", ErrOptions, err)
		}
	}
	w.callbacks = callbacks.NewServer(w.receiver, server)
	return nil
}

func (w *Worker) listen(ctx context.Context) error {
	var err error
	var lc net.ListenConfig
	if w.metricsListener, err = lc.Listen(ctx, "tcp", w.opts.MetricsListen); err != nil {
		return fmt.Errorf("--metrics-listen: %w", err)
	}
	if w.opts.PprofListen != "" {
		if w.pprofListener, err = lc.Listen(ctx, "tcp", w.opts.PprofListen); err != nil {
			return fmt.Errorf("--pprof-listen: %w", err)
		}
	}
	if !w.opts.Role.receives() {
		return nil
	}
	if w.callbackListener = w.opts.CallbackListener; w.callbackListener != nil {
		return nil
	}
	if w.callbackListener, err = lc.Listen(ctx, "tcp", w.opts.CallbackListen); err != nil {
		return fmt.Errorf("--callback-listen: %w", err)
	}
	return nil
}

// MetricsAddr is where /metrics, /healthz and /readyz are served.
func (w *Worker) MetricsAddr() string { return w.metricsListener.Addr().String() }

// CallbackAddr is where notifications are received; empty when others do.
func (w *Worker) CallbackAddr() string {
	if w.callbackListener == nil {
		return ""
	}
	return w.callbackListener.Addr().String()
}

// serve starts both servers and returns what stops them.
func (w *Worker) serve(wg *sync.WaitGroup, fail func(error)) func() {
	ops := &http.Server{Handler: metrics.Mux(w.reg, w.health), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	run := func(serve func(net.Listener) error, l net.Listener) {
		wg.Go(func() {
			if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
				fail(fmt.Errorf("serve %s: %w", l.Addr(), err))
			}
		})
	}
	if w.callbacks != nil {
		run(w.callbacks.Serve, w.callbackListener)
	}
	run(ops.Serve, w.metricsListener)
	profiles := &http.Server{Handler: pprofMux(), ReadHeaderTimeout: 5 * time.Second}
	if w.pprofListener != nil {
		run(profiles.Serve, w.pprofListener)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if w.callbacks != nil {
			_ = w.callbacks.Shutdown(ctx)
		}
		_ = ops.Shutdown(ctx)
		_ = profiles.Close()
	}
}

// credentialOptions leaves instance discovery out where the authority is not
// Microsoft's: Microsoft does not know it and could not vouch for it.
func credentialOptions(o Options) graph.CredentialOptions {
	c := graph.CredentialOptions{Kind: o.AzureCredential, Cloud: o.Cloud, Tenants: o.Tenants}
	if host := os.Getenv("AZURE_AUTHORITY_HOST"); host != "" {
		u, err := url.Parse(host)
		c.DisableInstanceDiscovery = err == nil && loopback(u.Hostname())
	}
	return c
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
