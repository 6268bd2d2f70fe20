package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// writeOverlay writes what "go build -overlay" wants for files with another
// content. remove deletes it when the build is over.
func writeOverlay(replace map[string]string) (file string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "callbus-overlay-")
	if err != nil {
		return "", nil, fmt.Errorf("write overlay: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	write := func(name string, text []byte) {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
	}
	for path, text := range replace {
		name := fmt.Sprintf("%d-%s", len(overlay.Replace), filepath.Base(path))
		overlay.Replace[path] = filepath.Join(dir, name)
		write(name, []byte(text))
	}
	index, marshalErr := json.Marshal(overlay)
	if marshalErr != nil {
		panic(marshalErr) // two strings an entry
	}
	write("overlay.json", index)
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("write overlay: %w", err)
	}
	return filepath.Join(dir, "overlay.json"), remove, nil
}

// nowReads is how time.Now begins: it asks the runtime for the wall clock and,
// apart from it, for the monotonic one.
const nowReads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"

// skewedTime returns the standard library's time.go, with a wall clock that is
// off.
func skewedTime(ctx context.Context, skew time.Duration) (path, text string, err error) {
	root, err := goCommand(ctx, "", "env", "GOROOT")
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(root, "src", "time", "time.go")
	source, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("skew: %w", err)
	}
	text, err = skewed(string(source), skew)
	if err != nil {
		return "", "", fmt.Errorf("skew %s: %w", path, err)
	}
	return path, text, nil
}

// skewed puts the wall clock of the standard library's time.go off.
func skewed(source string, skew time.Duration) (string, error) {
	if skew%time.Second != 0 {
		return "", fmt.Errorf("by %s: want whole seconds", skew)
	}
	if n := strings.Count(source, nowReads); n != 1 {
		return "", fmt.Errorf("%q is there %d times: want once; this Go reads its clock in another way", nowReads, n)
	}
	return strings.Replace(source, nowReads, nowReads+fmt.Sprintf("\tsec += %d\n", skew/time.Second), 1), nil
}
