package commands

import (
	"slices"
	"testing"
)

func TestLookupFindsEveryMeaning(t *testing.T) {
	codes := func(all []Explanation) (names []string) {
		for _, e := range all {
			names = append(names, e.Code)
		}
		return names
	}
	for text, want := range map[string][]string{
		"7000":       {"200/7000", "500/7000"},
		"500/7000":   {"500/7000"},
		"busy":       {"486", "600", "486/560486"},
		"BUSY":       {"486", "600", "486/560486"},
		"486":        {"486", "486/560486"},
		"486/1":      {"486/1"},
		"403":        {"403", "403/510403", "HTTP 403"},
		"http  403":  {"HTTP 403"},
		"503":        {"HTTP 503"},
		" callLives": {"callLives"},
		"":           nil,
		"nothing":    nil,
	} {
		if got := codes(Lookup(text)); !slices.Equal(got, want) {
			t.Errorf("Lookup(%q) = %v; want %v", text, got, want)
		}
	}
}

func TestNear(t *testing.T) {
	tests := []struct {
		sentence, text string
		want           []string // the beginning
		most           int
	}{
		{"a number that is one digit off", "7506", []string{"7505", "7507", "7504", "7503", "7502"}, 5},
		{"two digits swapped", "5750", []string{}, 5},
		{"a SIP status that is none", "481", []string{"480", "484", "486", "487", "488"}, 5},
		{"a word with a letter too few", "calLives", []string{"callLives"}, 5},
		{"a word with two letters swapped", "bsuy", []string{"busy"}, 5},
		{"a word in another case", "CALLENDED", []string{"callEnded"}, 5},
		{"nothing like anything", "qwertzuiop", []string{}, 0},
		{"an empty text", "", []string{}, 0},
		{"one letter", "x", []string{}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			got := Near(tt.text)
			if len(got) > tt.most || len(got) < len(tt.want) || !slices.Equal(got[:len(tt.want)], tt.want) {
				t.Errorf("Near(%q) = %v; want %v first, %d at most", tt.text, got, tt.want, tt.most)
			}
		})
	}
}

func TestDistanceIsSymmetricAndCountsOneForEachSlip(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"busy", "busy", 0}, {"busy", "bsuy", 1}, {"busy", "buys", 1},
		{"noAnswer", "noAnswr", 1}, {"ended", "unseen", 4}, {"7505", "7550", 1},
	} {
		if got, back := distance(tt.a, tt.b), distance(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("distance(%q, %q) = %d, and %d back; want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}
