package doctor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// assertFindings: the states and checks in order, as "FAIL token: text"; text
// must be in what is found or in what to do.
func assertFindings(t *testing.T, got []Finding, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d findings; want %d:\n%s", len(got), len(want), listed(got))
	}
	for i, f := range got {
		head, text, _ := strings.Cut(want[i], ": ")
		if string(f.State)+" "+f.Check != head || !strings.Contains(f.Found+" → "+f.Do, text) {
			t.Errorf("finding %d = %s %s: %s → %s; want %s", i+1, f.State, f.Check, f.Found, f.Do, want[i])
		}
	}
	for _, f := range got {
		if f.State == Fail && f.Do == "" {
			t.Errorf("%s: nothing is said of what to do about %q", f.Check, f.Found)
		}
	}
}

func listed(all []Finding) string {
	var b bytes.Buffer
	_ = Table(&b, all)
	return b.String()
}

func TestTableAndJSON(t *testing.T) {
	all := []Finding{ok("nats", "here\nit is"), warn("clock", "set it", "late"), fail("token", "renew it", "no \x1b[31mtoken"), skip("graph", "not asked")}
	const want = `ok    nats        here it is
warn  clock       late → set it
FAIL  token       no ?[31mtoken → renew it
skip  graph       not asked
1 ok, 1 warn, 1 FAIL, 1 skip
`
	if diff := cmp.Diff(want, listed(all)); diff != "" {
		t.Errorf("Table() (-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	if err := JSON(&b, all); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Failed, Warned int
		Findings       []Finding
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.Failed != 1 || got.Warned != 1 || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("JSON() = %s, %v; want one line with one failure and one warning", b.String(), err)
	}
	if diff := cmp.Diff(all, got.Findings); diff != "" {
		t.Errorf("JSON() (-want +got):\n%s", diff)
	}
}

func TestALineIsNoLongerThanAnybodyReads(t *testing.T) {
	if f := ok("keys", "%s", strings.Repeat("ä", 10_000)); len([]rune(f.Found)) != 601 {
		t.Errorf("%d characters; want 600 and an ellipsis", len([]rune(f.Found)))
	}
}

func TestSizesAndTimes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1 << 10: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB", 5 << 29: "2.5 GiB", 1 << 41: "2 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s; want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		123456 * time.Nanosecond: "120µs", 12345 * time.Microsecond: "12.3ms", 1234 * time.Millisecond: "1.2s",
		61 * time.Second: "1m1s", 90*time.Minute + 4*time.Second: "1h30m", 0: "0s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%s) = %s; want %s", d, got, want)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
