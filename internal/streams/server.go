package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// minAPILevel is JetStream's API level of server 2.12, the first with message
// schedules. Older servers silently drop the stream flags they do not know.
const minAPILevel = 2

// ErrServer is wrapped by every error of CheckServer.
var ErrServer = errors.New("NATS server not usable")

// CheckServer asks the server whether it can carry callbus. It blocks for one
// request; the error is one line and names the server's version and what is
// missing.
func CheckServer(ctx context.Context, js jetstream.JetStream) error {
	version := js.Conn().ConnectedServerVersion()
	info, err := js.AccountInfo(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: JetStream is not enabled on server %s: start it with -js or a jetstream block", ErrServer, version)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: JetStream is not enabled for this account on server %s: enable it in the account's limits", ErrServer, version)
	case err != nil:
		return fmt.Errorf("%w: ask server %s for its JetStream account: %w", ErrServer, version, err)
	case info.API.Level < minAPILevel:
		return fmt.Errorf("%w: server %s has JetStream API level %d, callbus needs level %d (server 2.12 or newer): message schedules and per-message TTL are missing",
			ErrServer, version, info.API.Level, minAPILevel)
	}
	return nil
}
