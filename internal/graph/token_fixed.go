package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// maxToken bounds a token file; Entra ID's tokens have a few kilobytes.
const maxToken = 64 << 10

// staticToken is one bearer token for every tenant.
type staticToken string

func (s staticToken) token(context.Context, string) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s)}, nil
}

func (s staticToken) renew(context.Context, string, string, string) (azcore.AccessToken, bool, error) {
	return azcore.AccessToken{}, false, nil
}

// fileToken is a bearer token in a file that is read again when it changes.
type fileToken struct {
	path string
	told func(error) // of every look into the file

	mu       sync.Mutex
	current  string
	modified time.Time
	size     int64
}

func (f *fileToken) token(context.Context, string) (azcore.AccessToken, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readLocked(false)
}

func (f *fileToken) renew(_ context.Context, _, refused, _ string) (azcore.AccessToken, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	token, err := f.readLocked(true)
	return token, err == nil && token.Token != refused, err
}

// readLocked reads the file if its size or time has changed, or in any case.
func (f *fileToken) readLocked(always bool) (azcore.AccessToken, error) {
	read, err := f.refreshLocked(always)
	if read || err != nil {
		f.told(err)
	}
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: f.current}, nil
}

// refreshLocked tells whether the file was read.
func (f *fileToken) refreshLocked(always bool) (bool, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, &tokenError{message: "token file: " + err.Error(), err: err}
	}
	if !always && f.current != "" && info.Size() == f.size && info.ModTime().Equal(f.modified) {
		return false, nil
	}
	token, err := readToken(f.path)
	if err != nil {
		return true, &tokenError{message: "token file: " + err.Error(), err: err}
	}
	f.current, f.size, f.modified = token, info.Size(), info.ModTime()
	return true, nil
}

func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxToken {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxToken)
	}
	token := strings.TrimSpace(string(data))
	if err := checkToken(token); err != nil {
		return "", fmt.Errorf("%s %w", path, err)
	}
	return token, nil
}

// checkToken refuses what cannot stand in an Authorization header.
func checkToken(token string) error {
	if token == "" {
		return errors.New("holds no token")
	}
	for _, r := range token {
		if r <= ' ' || r >= 0x7f {
			return errors.New("holds more than one bearer token")
		}
	}
	return nil
}
