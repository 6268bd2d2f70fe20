package callbacks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"callbus/internal/commands"
)

// WebhookPath is the path, below the base path, of the bot's global webhook.
// Calls have their own URLs below it, see [CallPath].
const WebhookPath = "/v1/notifications"

// NoCall is the callRef under [commands.IncomingProducer] of what came to the
// global webhook and names no call.
const NoCall = "_none"

// CallPath is the path, below the base path, of the callbackUri of a call placed
// by the command in the given attempt: any notification there proves that the call
// exists.
func CallPath(place commands.Key, attempt int) string {
	return fmt.Sprintf("%s/%s/%s/%s/%d", WebhookPath, place.Producer, place.CallRef, place.ID, attempt)
}

// address is what the URL says about a notification.
type address struct {
	perCall bool // false: the global webhook, and nothing else is set
	place   commands.Key
	attempt int
}

// parseAddress reads a request's path; ok is false for one that is neither the
// webhook nor a call's, which includes names that no command can have.
func parseAddress(basePath, path string) (a address, ok bool) {
	rest, whole := strings.CutPrefix(path, basePath+WebhookPath)
	if !whole {
		var left string
		if left, rest, ok = strings.Cut(path, WebhookPath); !ok || !endsPath(basePath, left) {
			return address{}, false
		}
	}
	if rest == "" || rest == "/" {
		return address{}, true
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 5 || parts[0] != "" {
		return address{}, false
	}
	a.perCall = true
	a.place = commands.Key{Producer: parts[1], CallRef: parts[2], ID: parts[3]}
	if commands.CheckProducer(a.place.Producer) != nil || commands.CheckCallRef(a.place.CallRef) != nil ||
		commands.CheckID(a.place.ID) != nil {
		return address{}, false
	}
	attempt, err := strconv.ParseUint(parts[4], 10, 31)
	a.attempt = int(attempt)
	return a, err == nil
}

// endsPath tells whether the end of the base path is what is left of it: a proxy
// may have taken whole segments away from its beginning.
func endsPath(basePath, left string) bool {
	return strings.HasSuffix(basePath, left) && (left == "" || left[0] == '/')
}

// owner finds whose event a notification on the global webhook is: of the
// call's owner when the registry knows the call, else of the producer that
// incoming calls of this tenant or resource account are routed to, else of nobody yet.
func (r *Receiver) owner(ctx context.Context, n Notification, tenant string) (commands.CallKey, error) {
	if n.CallID == "" {
		return commands.CallKey{Producer: commands.IncomingProducer, CallRef: NoCall}, nil
	}
	ref := commands.NormalCallID(n.CallID)
	// No id that Graph has been seen to give, and none the registry can hold.
	if commands.CheckCallRef(ref) != nil {
		sum := sha256.Sum256([]byte(ref))
		return commands.CallKey{Producer: commands.IncomingProducer, CallRef: hex.EncodeToString(sum[:])}, nil
	}
	key, known, err := r.opts.Lookup(ctx, ref)
	if err != nil {
		return commands.CallKey{}, fmt.Errorf("look up call: %w", err)
	}
	if known {
		return key, nil
	}
	return commands.CallKey{Producer: r.incomingProducer(n, tenant), CallRef: ref}, nil
}

// incomingProducer applies the routes to a call that came in. Graph's later
// notifications name neither resource account nor direction: by then the
// registry must know the call, else they are nobody's until it does.
func (r *Receiver) incomingProducer(n Notification, tenant string) string {
	if n.Kind != commands.KindIncoming && n.Direction != "incoming" {
		return commands.IncomingProducer
	}
	for _, id := range slices.Concat(n.Instances, []string{tenant, n.TenantID}) { // the narrower first
		if producer, ok := r.routes[strings.ToLower(id)]; ok {
			return producer
		}
	}
	return commands.IncomingProducer
}
