package doctor

import (
	"testing"
	"time"

	"callbus/internal/graph"
)

func TestGraphsAnswers(t *testing.T) {
	quick := graph.Attempt{Duration: 20 * time.Millisecond}
	for _, row := range []struct {
		name string
		last graph.Attempt
		e    *graph.Error
		want string
	}{
		{"not found, as it should be", quick, &graph.Error{Reason: graph.NotFound, Status: 404, Code: "8522", RequestID: "r-1"}, "ok graph: tenant t: answers, in 20ms: it does not find a call that cannot exist (404 8522, request-id r-1)"},
		{"not found, late", graph.Attempt{Duration: 3 * time.Second}, &graph.Error{Reason: graph.NotFound, Status: 404, Code: "8522"}, "warn graph: in 3s"},
		{"not found by somebody else", quick, &graph.Error{Reason: graph.NotFound, Status: 404, Code: "ResourceNotFound"}, "warn graph: --graph-route"},
		{"found", quick, nil, "warn graph: --graph-url"},
		{"the token is refused", quick, &graph.Error{Reason: graph.Unauthorized, Status: 401, Code: "InvalidAuthenticationToken"}, "FAIL graph: --cloud"},
		{"no token for a second try", quick, &graph.Error{Reason: graph.TokenFailed}, "FAIL graph: lines about token"},
		{"no calling bot", quick, &graph.Error{Reason: graph.Forbidden, Status: 403, Code: "7503"}, "FAIL graph: Azure Bot"},
		{"no permission", quick, &graph.Error{Reason: graph.Forbidden, Status: 403, Code: "7504"}, "FAIL graph: admin consent"},
		{"another tenant", quick, &graph.Error{Reason: graph.Forbidden, Status: 403, Code: "7505"}, "FAIL graph: --tenant"},
		{"a person's token", quick, &graph.Error{Reason: graph.Forbidden, Status: 403, Code: "7500"}, "FAIL graph: own credential"},
		{"a proxy's refusal", quick, &graph.Error{Reason: graph.Forbidden, Status: 407}, "FAIL graph: between here and Graph"},
		{"throttled", quick, &graph.Error{Reason: graph.Throttled, Status: 429}, "warn graph: throttles"},
		{"a route that it does not know", quick, &graph.Error{Reason: graph.Invalid, Status: 400, Code: "BadRequest"}, "FAIL graph: --graph-route"},
		{"somebody else's page", quick, &graph.Error{Reason: graph.Unreadable, Status: 404}, "FAIL graph: somebody else"},
		{"out of order", quick, &graph.Error{Reason: graph.Unavailable, Status: 503}, "FAIL graph: service health"},
		{"no connection", quick, &graph.Error{Reason: graph.ConnectFailed}, "FAIL graph: HTTPS_PROXY"},
		{"no answer", quick, &graph.Error{Reason: graph.Lost}, "FAIL graph: --graph-timeout"},
	} {
		t.Run(row.name, func(t *testing.T) { assertFindings(t, judgeGraph("t", row.last, row.e), row.want) })
	}
}
