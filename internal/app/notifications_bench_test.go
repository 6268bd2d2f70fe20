package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callbus/internal/callbacks"
	"callbus/internal/calls"
	"callbus/internal/commands"
	"callbus/internal/embednats"
	"callbus/internal/streams"
)

// BenchmarkNotification measures the receiver over HTTP on loopback: each
// notification's token is verified and its event stored in NATS with file storage
// before 202. Sender, receiver and server share this process's cores. One
// iteration is one notification; besides ns/op it reports notifications per second
// and the longest time that 99 of 100 took, as the sender saw it. With a rate,
// notifications fall due at it, and what is sent late counts from when it was due.
func BenchmarkNotification(b *testing.B) {
	b.Run("1 sender", func(b *testing.B) { benchNotifications(b, 1, 0) })
	b.Run("64 senders", func(b *testing.B) { benchNotifications(b, 64, 0) })
	b.Run("64 senders at 3000 a second", func(b *testing.B) { benchNotifications(b, 64, 3000) })
}

func benchNotifications(b *testing.B, senders, rate int) {
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(srv.Close)
	js := connect(b, srv.URL())
	if _, err := streams.Provision(b.Context(), js, streams.DefaultOptions(), streams.ModeCreate, false); err != nil {
		b.Fatal(err)
	}
	key := newSigner(b)
	events := calls.NewEvents(js, commands.DefaultPrefix)
	addr := listenForNotifications(b, key, events, callbacks.ServerOptions{})
	tokens := make([]string, 32) // Graph's tokens live about an hour; a few are about at any time
	for i := range tokens {
		tokens[i] = key.token(b, fmt.Sprintf("token-%d", i))
	}

	var sent, failed atomic.Int64
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	begin := time.Now()
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for {
				i := int(sent.Add(1)) - 1
				if i >= b.N {
					return
				}
				request := rawNotification(i, tokens[i%len(tokens)])
				start := time.Now()
				if rate > 0 {
					start = begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
					time.Sleep(time.Until(start))
				}
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if took[i] = time.Since(start); resp.StatusCode != http.StatusAccepted {
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	if failed.Load() > 0 {
		b.Errorf("%d of %d notifications were not answered 202", failed.Load(), b.N)
	}
	stream, err := js.Stream(b.Context(), "CALL_EVENTS")
	if err != nil {
		b.Fatal(err)
	}
	if stored := stream.CachedInfo().State.Msgs; stored != uint64(b.N) {
		b.Errorf("%d events stored; want %d", stored, b.N)
	}
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
	b.ReportMetric(float64(took[(len(took)*99-1)/100].Microseconds())/1000, "p99-ms")
}

// listenForNotifications runs a receiver as a worker has it and gives its address.
func listenForNotifications(tb testing.TB, key *signer, store callbacks.Store, o callbacks.ServerOptions) (addr string) {
	tb.Helper()
	auth, err := callbacks.NewAuth(tb.Context(), callbacks.AuthOptions{
		OIDCURLs: []string{key.serve(tb)}, Audience: signerAudience, Tenants: []string{signerTenant},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(auth.Close)
	receiver, err := callbacks.NewReceiver(callbacks.Options{
		Auth: auth, Store: store, Counter: o.Counter,
		Lookup: func(context.Context, string) (commands.CallKey, bool, error) { return commands.CallKey{}, false, nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server, done := callbacks.NewServer(receiver, o), make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("Serve() = %v", err)
		}
	})
	return l.Addr().String()
}

// rawNotification is the i-th notification as bytes: a state, or a roster with
// two participants, of one of many calls.
func rawNotification(i int, token string) []byte {
	body := fmt.Sprintf(`{"@odata.type":"#microsoft.graph.commsNotifications","value":[{"@odata.type":"#microsoft.graph.commsNotification",`+
		`"changeType":"updated","resource":"/app/calls/%[1]s","resourceUrl":"/communications/calls/%[1]s","resourceData":`+
		`{"@odata.type":"#microsoft.graph.call","@odata.id":"/communications/calls/%[1]s","@odata.etag":"W/\"5445\"","state":"established",`+
		`"mediaState":{"audio":"active"},"answeredBy":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d4b8"}},"callChainId":"d8217646-3110-40b1-bae6-e9ac6c3a9f74"}}]}`,
		fmt.Sprintf("2e1a0b00-2db4-4022-9570-%012d", i%500))
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: callbus.contoso.com\r\nUser-Agent: Microsoft-Skype/3.0,(Calling/1.0)\r\n"+
		"Authorization: Bearer %s\r\nContent-Type: application/json\r\nX-Microsoft-Skype-Message-ID: message-%d\r\n"+
		"X-Microsoft-Skype-Chain-ID: d8217646-3110-40b1-bae6-e9ac6c3a9f74\r\nContent-Length: %d\r\n\r\n%s",
		callbacks.CallPath(commands.Key{Producer: "bench", CallRef: fmt.Sprintf("call-%d", i%500), ID: "p"}, 1), token, i, len(body), body)
}
