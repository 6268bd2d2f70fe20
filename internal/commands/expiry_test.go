package commands

import (
	"testing"
	"time"
)

func TestExpiry(t *testing.T) {
	at := func(d time.Duration) time.Time { return testPublished.Add(d) }
	tests := []struct {
		sentence string
		command  Command
		ttl      TTL
		want     time.Time
	}{
		{"a place lasts 10 minutes", Command{Action: Place}, DefaultTTL, at(10 * time.Minute)},
		{"a hang-up lasts a day", Command{Action: Hangup}, DefaultTTL, at(24 * time.Hour)},
		{"no TTL is the default", Command{Action: Place}, TTL{}, at(10 * time.Minute)},
		{"the operator's TTL counts", Command{Action: Place}, TTL{Place: time.Hour}, at(time.Hour)},
		{"the command's own expiresAt comes first", Command{Action: Place, ExpiresAt: at(time.Second)}, TTL{Place: time.Hour}, at(time.Second)},
		{"a delayed place is not born expired", Command{Action: Place, NotBefore: at(2 * time.Hour)}, DefaultTTL, at(2*time.Hour + 10*time.Minute)},
		{"a notBefore that has passed changes nothing", Command{Action: Place, NotBefore: at(-time.Hour)}, DefaultTTL, at(10 * time.Minute)},
		{"nothing lasts more than three days", Command{Action: Mute, NotBefore: at(71 * time.Hour)}, DefaultTTL, at(72 * time.Hour)},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			if got := tt.command.Expiry(testPublished, tt.ttl); !got.Equal(tt.want) {
				t.Errorf("Expiry() = %s; want %s", got, tt.want)
			}
		})
	}
}
