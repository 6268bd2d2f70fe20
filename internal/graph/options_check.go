package graph

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

var versionSegment = regexp.MustCompile(`/(v\d+\.\d+|beta)$`)

// withDefaults fills in what is empty.
func (o Options) withDefaults() Options {
	if o.Cloud == "" {
		o.Cloud = PublicCloud
	}
	if o.BaseURL == "" {
		o.BaseURL = o.Cloud.BaseURL()
	}
	if o.Route == "" {
		o.Route = Communications
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnRequest == nil {
		o.OnRequest = noObserver
	}
	if o.OnToken == nil {
		o.OnToken = func(error) {}
	}
	return o
}

// check reports everything that is wrong, each in one line.
func (o Options) check() (*url.URL, error) {
	var problems []error
	problem := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	problem(o.Cloud.check())
	base, err := checkBase(o.BaseURL)
	problem(err)
	if o.Route != Communications && o.Route != App {
		problem(fmt.Errorf("unknown route family %q: want %s or %s", o.Route, Communications, App))
	}
	if o.Timeout < 0 {
		problem(fmt.Errorf("timeout %v is negative", o.Timeout))
	}
	problem(o.checkTokens(base))
	return base, errors.Join(problems...)
}

func (o Options) checkTokens(base *url.URL) error {
	sources := 0
	for _, set := range []bool{o.NewCredential != nil, o.Credential != nil, o.TokenFile != "", o.StaticToken != ""} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		return fmt.Errorf("%d sources of tokens: want exactly one of a credential, a token file and a fixed token", sources)
	}
	if o.TokenFile == "" && o.StaticToken == "" {
		return nil
	}
	if base != nil && !isLoopback(base.Hostname()) {
		return fmt.Errorf("a fixed token is for loopback only, not for %s: use a credential", base.Host)
	}
	if o.StaticToken != "" {
		if err := checkToken(o.StaticToken); err != nil {
			return fmt.Errorf("the fixed token %w", err)
		}
	}
	return nil
}

// checkBase accepts an https base that ends in a version, and http to loopback.
func checkBase(raw string) (*url.URL, error) {
	base, err := url.Parse(strings.TrimRight(raw, "/"))
	if err != nil {
		return nil, fmt.Errorf("graph base URL cannot be parsed: want something like %s", PublicCloud.BaseURL())
	}
	shown := base.Redacted()
	switch {
	case base.Host == "" || base.Scheme != "https" && base.Scheme != "http":
		return nil, fmt.Errorf("graph base URL %q: want https://host/version", shown)
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("graph base URL %q: must not have user info, a query or a fragment", shown)
	case base.Scheme == "http" && !isLoopback(base.Hostname()):
		return nil, fmt.Errorf("graph base URL %q: plain http is for loopback only", shown)
	case !versionSegment.MatchString(base.Path):
		return nil, fmt.Errorf("graph base URL %q: must end in a version, such as /v1.0", shown)
	}
	return base, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (o Options) tokenSource() tokenSource {
	switch {
	case o.StaticToken != "":
		return staticToken(o.StaticToken)
	case o.TokenFile != "":
		return &fileToken{path: o.TokenFile, told: o.OnToken}
	case o.Credential != nil:
		credential := o.Credential
		return newCredentialTokens(o.Cloud.Scope(), func(string) (azcore.TokenCredential, error) {
			return credential, nil
		}, o.OnToken)
	default:
		return newCredentialTokens(o.Cloud.Scope(), o.NewCredential, o.OnToken)
	}
}
