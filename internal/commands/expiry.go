package commands

import "time"

// TTL is how long commands that name no expiresAt may wait to be sent.
type TTL struct {
	Place, Other time.Duration
}

// DefaultTTL is the contract's: nobody wants a call that comes an hour late.
var DefaultTTL = TTL{Place: 10 * time.Minute, Other: 24 * time.Hour}

// Expiry is the moment from which the command is not sent any more: its
// expiresAt, else the TTL of its action after published, the server's
// timestamp of the message. A TTL of zero or less is the default. The TTL of a
// command with a notBefore counts from then on, since it would otherwise be
// born expired; nothing outlives published by more than [MaxTTL].
func (c Command) Expiry(published time.Time, ttl TTL) time.Time {
	if !c.ExpiresAt.IsZero() {
		return c.ExpiresAt
	}
	wait, standard := ttl.Other, DefaultTTL.Other
	if c.Action == Place {
		wait, standard = ttl.Place, DefaultTTL.Place
	}
	if wait <= 0 {
		wait = standard
	}
	from := published
	if c.NotBefore.After(from) {
		from = c.NotBefore
	}
	expiry, latest := from.Add(wait), published.Add(MaxTTL)
	if expiry.After(latest) {
		return latest.UTC()
	}
	return expiry.UTC()
}
