package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type graphMetrics struct {
	requests        *prometheus.CounterVec   // operation, code, graph_code
	requestDuration *prometheus.HistogramVec // operation
}

// operations are the requests of the calls API with the status that Microsoft
// documents for their success.
var operations = []struct{ name, success string }{
	{"createCall", "201"},
	{"getCall", "200"},
	{"deleteCall", "204"},
	{"listParticipants", "200"},
	{"listContentSharingSessions", "200"},
	{"getContentSharingSession", "200"},
	{"keepAlive", "200"},
	{"mute", "200"},
	{"unmute", "200"},
	{"playPrompt", "200"},
	{"cancelMediaProcessing", "200"},
	{"redirect", "202"},
	{"transfer", "202"},
}

var operationNames = func() labelSet {
	var names []string
	for _, op := range operations {
		names = append(names, op.name)
	}
	return newLabelSet(names...)
}()

// httpCodes are the statuses kept as they are. Those in httpFailures can answer
// any request; "none" stands for a request that got no answer.
var (
	httpFailures = []string{none, "400", "401", "403", "404", "429", "500", "502", "503", "504"}
	httpCodes    = newLabelSet(append([]string{"200", "201", "202", "204", "405", "408", "409", "412", "413", "415",
		"422", "423", "501", "507", "509"}, httpFailures...)...)
)

// graphCodes are the codes of error bodies kept as they are: the decimal codes
// of the calling service, which Graph's issue tracker and the Azure
// Communication Services page "Troubleshooting call end response codes" tell
// of, and the textual codes of Graph's gateway (Microsoft Graph, "Error
// responses and resource types").
var graphCodes = newLabelSet(
	"7500", "7501", "7502", "7503", "7504", "7505", "7507",
	"8500", "8501", "8503", "8516", "8519", "8520", "8522", "8523", "8526", "8527", "8528", "8529", "8530",
	"8561", "8566", "8583", "8585", "8607",
	"9001", "9002", "9003", "9998", "9999", "2203", "8548",
	"BadRequest", "Forbidden", "NotFound", "InvalidAuthenticationToken", "Unauthorized", "UnauthorizedAccess",
	"Authorization_RequestDenied", "AccessDenied", "accessDenied", "invalidRequest", "itemNotFound",
	"MethodNotAllowed", "Conflict", "PreconditionFailed", "TooManyRequests", "activityLimitReached",
	"ServiceUnavailable", "serviceNotAvailable", "GatewayTimeout", "BadGateway", "InternalServerError",
	"UnknownError", "generalException", "notSupported", "quotaLimitReached", "unauthenticated", "resourceModified",
)

// refusals are the answers worth a graph from the first day: each HTTP status
// with the code of the calling service it comes with.
var refusals = []struct {
	code, graphCode string
	creating        bool // only where a call is created, otherwise only where one is meant
}{
	{"403", "7503", true}, {"403", "7504", true}, {"403", "7505", true}, {"403", "7507", true},
	{"400", "8523", true}, {"429", "8529", true}, {"429", "8530", true}, {"500", "9999", true},
	{"400", "8501", false}, {"404", "8522", false}, {"409", "8519", false}, {"500", "9999", false},
}

func newGraphMetrics(f promauto.Factory) graphMetrics {
	m := graphMetrics{
		requests: f.NewCounterVec(counter("graph_requests_total",
			"Requests to Graph by HTTP status (none without an answer) and the code in Graph's error body (none without one)."),
			[]string{"operation", "code", "graph_code"}),
		requestDuration: f.NewHistogramVec(histogram("graph_request_duration_seconds",
			"Time from sending a request to the end of Graph's answer.",
			.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30), []string{"operation"}),
	}
	for _, op := range operations {
		m.requestDuration.WithLabelValues(op.name)
		m.requests.WithLabelValues(op.name, op.success, none)
		for _, code := range httpFailures {
			m.requests.WithLabelValues(op.name, code, none)
		}
		for _, r := range refusals {
			if r.creating == (op.name == "createCall") {
				m.requests.WithLabelValues(op.name, r.code, r.graphCode)
			}
		}
	}
	return m
}

// GraphRequest counts one request to Graph and observes how long it took.
// httpStatus is 0 when no answer came, graphCode empty when the answer carried
// no error code, traceID empty outside of a trace.
func (m *Metrics) GraphRequest(operation string, httpStatus int, graphCode string, took time.Duration, traceID string) {
	if m == nil {
		return
	}
	operation = operationNames.fold(operation)
	code := ""
	if httpStatus != 0 {
		code = strconv.Itoa(httpStatus)
	}
	m.requests.WithLabelValues(operation, httpCodes.fold(code), graphCodes.fold(graphCode)).Inc()
	observe(m.requestDuration.WithLabelValues(operation), seconds(took), traceID)
}
