// Package natstest runs a package's tests in front of one NATS server. It is
// for tests only.
package natstest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"callbus/internal/embednats"
)

// Main is the body of a TestMain. It starts a server, puts its address into
// url, runs the tests, stops the server and then looks for leaked goroutines.
// Tests keep apart by prefixes of their own.
func Main(m *testing.M, url *string) { goleak.VerifyTestMain(withServer{m, url}) }

// withServer stops the server before leaked goroutines are looked for.
type withServer struct {
	*testing.M
	url *string
}

func (m withServer) Run() int {
	srv, err := embednats.Start(embednats.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer srv.Close()
	*m.url = srv.URL()
	return m.M.Run()
}
