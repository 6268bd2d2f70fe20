package commands

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzDecode(f *testing.F) {
	index := func(a Action) (i byte) {
		for Actions[i] != a {
			i++
		}
		return i
	}
	for _, row := range contract {
		f.Add(index(row.action), []byte(row.body))
	}
	for body, action := range documented(f) {
		f.Add(index(action), []byte(body))
	}
	f.Fuzz(func(t *testing.T, i byte, body []byte) {
		action := Actions[int(i)%len(Actions)]
		cmd, err := Decode(testCall, action, body, testOptions)
		if err != nil {
			all, ok := err.(DecodeErrors)
			if !ok || len(all) == 0 || cmd.Parameters != nil {
				t.Fatalf("Decode() = %v (%T) with parameters %s; want DecodeErrors and none", err, err, cmd.Parameters)
			}
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("Decode() = %q; want one line", err)
			}
			return
		}
		if CheckID(cmd.ID) != nil || !json.Valid(body) {
			t.Fatalf("Decode() took id %q of %q", cmd.ID, body)
		}
		for _, number := range cmd.Phones() {
			if !IsPhone(number) {
				t.Fatalf("Phones() has %q", number)
			}
		}
		published, err := json.Marshal(Body{ID: cmd.ID, TenantID: cmd.TenantID, Parameters: cmd.Parameters})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(testCall, action, published, testOptions)
		if err != nil && len(published) <= MaxBody {
			t.Fatalf("Decode(%s) = %v; want what was decoded to decode again", published, err)
		}
		if err == nil && !bytes.Equal(again.Parameters, cmd.Parameters) {
			t.Fatalf("Decode() = %s; want %s", again.Parameters, cmd.Parameters)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(dial("+12345678901"))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(testCall, Place, body, testOptions); err != nil {
			b.Fatal(err)
		}
	}
}
