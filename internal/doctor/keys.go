package doctor

import (
	"context"
	"slices"
	"strings"
	"sync"

	"callbus/internal/callbacks"
)

// keys looks at the sources of the keys that sign notifications.
func (x *examination) keys(ctx context.Context) []Finding {
	const check = "keys"
	if !x.Receives {
		return skipped("others receive notifications", check)
	}
	sources := make([]source, len(x.OIDCURLs))
	x.within(ctx, func(ctx context.Context) []Finding {
		var all sync.WaitGroup
		for i, url := range x.OIDCURLs {
			all.Go(func() {
				before := x.Now()
				p, err := callbacks.LookAtKeys(ctx, url)
				sources[i] = source{url, p, err}
				if !p.Date.IsZero() {
					x.told(dated(hostOf(url), before, x.Now(), p.Date))
				}
			})
		}
		all.Wait()
		return nil
	})
	return judgeKeys(sources, x.Issuers)
}

// source is what became of asking one.
type source struct {
	url       string
	published callbacks.Published
	err       error
}

// judgeKeys tells which sources give keys, and whether their issuers are accepted.
func judgeKeys(all []source, issuers []string) (found []Finding) {
	const check = "keys"
	loaded := 0
	for _, s := range all {
		if s.err == nil {
			loaded++
		}
	}
	for _, s := range all {
		accepted := s.published.Issuer == "" || slices.ContainsFunc(issuers, func(i string) bool { return callbacks.SameIssuer(i, s.published.Issuer) })
		const way = "look at the way there (DNS, HTTPS_PROXY, network policy), and at --callback-oidc-url"
		switch {
		case s.err != nil && loaded == 0:
			found = append(found, fail(check, way+": without keys no notification is believed", "%s: %v", s.url, s.err))
		case s.err != nil:
			found = append(found, warn(check, way+": notifications signed with its keys are refused", "%s: %v", s.url, s.err))
		case !accepted:
			found = append(found, warn(check, "give that issuer with --callback-issuer, or correct --callback-oidc-url", "%s publishes %d keys of issuer %s; accepted are %s", s.url, s.published.Keys, s.published.Issuer, strings.Join(issuers, ", ")))
		default:
			found = append(found, ok(check, "%d keys at %s, issuer %s", s.published.Keys, s.url, orUnknown(s.published.Issuer)))
		}
	}
	return found
}
