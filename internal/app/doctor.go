package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"callbus/internal/callbacks"
	"callbus/internal/doctor"
	"callbus/internal/graph"
)

// Doctor examines the surroundings of a worker with these settings and tells what
// it found; see [doctor.Examine]. It opens no port, so that the worker may be
// running beside it. problems are what the caller found wrong with settings that
// are not in o; from says where the settings are from.
func Doctor(ctx context.Context, o Options, limit time.Duration, from string, problems ...error) []doctor.Finding {
	d := doctor.Options{
		NATS: o.NATS, Streams: o.Streams, StreamsMode: o.StreamsMode, Works: o.Role.works(), Receives: o.Role.receives(),
		Tenants: o.Tenants, App: o.CallbackAudience,
		CallbackURL: o.CallbackURL, OIDCURLs: o.CallbackOIDCURLs, Issuers: o.CallbackIssuers, Limit: limit,
		Settings: doctor.Settings{Problems: append(o.problems(), problems...), Warnings: o.warnings()},
	}
	wrong := func(format string, args ...any) {
		d.Settings.Problems = append(d.Settings.Problems, fmt.Errorf(format, args...))
	}
	if d.Works {
		g, err := o.graphOptions()
		if err == nil {
			_, err = graph.New(g)
		}
		if err == nil {
			d.Graph = &g
		} else {
			wrong("%w", err)
		}
	}
	if d.Receives {
		if err := callbacks.CheckRoutes(o.IncomingRoute); err != nil {
			wrong("--incoming-route: %w", err)
		}
		if o.CallbackTLSCert != "" && o.CallbackTLSKey != "" {
			if _, err := callbacks.LoadCertificate(o.CallbackTLSCert, o.CallbackTLSKey, o.Logger); err != nil {
				wrong("--callback-tls-cert, --callback-tls-key: %w", err)
			}
		}
	}
	d.Settings.Summary = o.summary(from)
	return doctor.Examine(ctx, d)
}

// summary names the settings that decide where a worker goes.
func (o *Options) summary(from string) string {
	role := o.Role
	if role == "" {
		role = RoleAll
	}
	text := fmt.Sprintf("worker %s would start; role %s, prefix %s", o.Version, role, o.Streams.Prefix)
	if len(o.Tenants) > 0 {
		text += ", tenants " + strings.Join(o.Tenants, ", ")
	}
	if role.works() && o.GraphTokenFile == "" {
		text += ", credential " + string(o.AzureCredential)
	}
	if from != "" {
		text += "; settings of " + from
	}
	return text
}
