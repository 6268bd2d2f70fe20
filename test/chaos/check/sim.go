package check

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// readList reads {"<name>": […]} from the simulated Graph's control API, one item
// after the other: a long run's answer is hundreds of megabytes. trim may make an
// item smaller before it is kept.
func readList[T any](ctx context.Context, simURL, name string, trim func(*T)) ([]T, error) {
	url := strings.TrimSuffix(simURL, "/") + "/_sim/" + name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{} // no proxy
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", url, resp.StatusCode)
	}
	list, err := decodeList(json.NewDecoder(resp.Body), name, trim)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	return list, nil
}

func decodeList[T any](dec *json.Decoder, name string, trim func(*T)) ([]T, error) {
	for _, want := range []json.Token{json.Delim('{'), name, json.Delim('[')} {
		got, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if got != want {
			return nil, fmt.Errorf("%v where %v was expected", got, want)
		}
	}
	var list []T
	for dec.More() {
		var item T
		if err := dec.Decode(&item); err != nil {
			return nil, err
		}
		trim(&item)
		list = append(list, item)
	}
	if _, err := dec.Token(); err != nil { // the list ends, and is not cut
		return nil, err
	}
	return list, nil
}
