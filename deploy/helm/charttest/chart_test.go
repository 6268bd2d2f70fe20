package charttest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	corev1 "k8s.io/api/core/v1"
)

func TestLintStrict(t *testing.T) {
	for name, vals := range map[string]map[string]any{
		"default": {}, "full": values(t, "full.yaml"), "trial": values(t, "values-trial.yaml"), "production": values(t, "values-production.yaml"),
	} {
		t.Run(name, func(t *testing.T) {
			result := lint.All(chartDir, vals, "calling", true)
			for _, m := range result.Messages {
				if m.Severity >= support.WarningSev {
					t.Errorf("%s: %v", m.Path, m.Err)
				}
			}
		})
	}
}

func TestDefaultsRender(t *testing.T) {
	m := mustRender(t, nil)
	if m.secret != nil || m.serviceMonitor != nil {
		t.Error("a Secret or a ServiceMonitor is rendered; want neither by default")
	}
	want := []string{"serve", "--callback-listen=:8080", "--drain-delay=5s", "--metrics-listen=:9464", "--nats-url=nats://nats:4222", "--nats-wait=30s"}
	if diff := cmp.Diff(want, m.deployment.Spec.Template.Spec.Containers[0].Args); diff != "" {
		t.Errorf("args (-want +got):\n%s", diff)
	}
	for _, missing := range []string{"worker.tenant", "worker.callbackUrl", "azure.existingSecret"} {
		if !strings.Contains(m.notes, missing) {
			t.Errorf("the notes do not say that %s is missing:\n%s", missing, m.notes)
		}
	}
	if want := "kubectl -n calling exec deploy/" + m.deployment.Name + " -c worker -- /worker doctor"; !strings.Contains(m.notes, want) {
		t.Errorf("the notes do not say %q:\n%s", want, m.notes)
	}
}

func TestPodsAreHardened(t *testing.T) {
	pod := mustRender(t, nil).deployment.Spec.Template.Spec
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("a service account token is mounted")
	}
	sc := pod.SecurityContext
	if sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod security context = %+v; want the restricted standard", sc)
	}
	c := pod.Containers[0].SecurityContext
	if c == nil || c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation ||
		c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem ||
		c.Capabilities == nil || !slices.Contains(c.Capabilities.Drop, "ALL") || len(c.Capabilities.Add) > 0 {
		t.Errorf("container security context = %+v; want the restricted standard and a read-only root", c)
	}
	for _, v := range pod.Volumes {
		if v.HostPath != nil {
			t.Errorf("volume %s is a host path", v.Name)
		}
	}
}

func TestProbesAndPortsFollowTheListenAddresses(t *testing.T) {
	m := mustRender(t, parse(t, "worker: {metricsListen: '0.0.0.0:19464', callbackListen: ':18080'}"))
	c := m.deployment.Spec.Template.Spec.Containers[0]
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if diff := cmp.Diff(map[string]int32{"metrics": 19464, "callbacks": 18080}, ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "metrics" {
			t.Errorf("probe %+v; want %s on the metrics port", probe, path)
		}
	}
	if p := m.callbacks.Spec.Ports; len(p) != 1 || p[0].TargetPort.StrVal != "callbacks" {
		t.Errorf("callbacks Service has ports %+v; want the callbacks port alone", p)
	}
}

func TestThePodOutlivesTheGracePeriod(t *testing.T) {
	for grace, want := range map[string]int64{"": 42, "30s": 42, "1m30s": 102, "1500ms": 14, "0.5h": 1812} {
		m := mustRender(t, map[string]any{"worker": map[string]any{"gracePeriod": grace, "drainDelay": "1500ms"}})
		if got := *m.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds; got != want {
			t.Errorf("gracePeriod %q: terminationGracePeriodSeconds = %d; want %d", grace, got, want)
		}
	}
}

func TestServicesFindThePods(t *testing.T) {
	for _, set := range []string{"{}", "{nameOverride: other, commonLabels: {team: calls}, podLabels: {a: b}}"} {
		m := mustRender(t, parse(t, set))
		labels := m.deployment.Spec.Template.Labels
		for _, selector := range []map[string]string{m.callbacks.Spec.Selector, m.metrics.Spec.Selector, m.deployment.Spec.Selector.MatchLabels} {
			for k, v := range selector {
				if labels[k] != v {
					t.Errorf("values %s: selector %s=%s; the pods have %q", set, k, v, labels[k])
				}
			}
		}
	}
}

func TestTheServiceMonitorFindsTheMetricsServiceAlone(t *testing.T) {
	m := mustRender(t, parse(t, "serviceMonitor: {enabled: true, scrapeProtocols: [PrometheusProto]}"))
	if m.serviceMonitor == nil {
		t.Fatal("no ServiceMonitor")
	}
	matches := func(labels map[string]string) bool {
		for k, v := range m.serviceMonitor.Spec.Selector.MatchLabels {
			if labels[k] != v {
				return false
			}
		}
		return true
	}
	if !matches(m.metrics.Labels) || matches(m.callbacks.Labels) {
		t.Errorf("selector %v; want the Service of metrics and not that of callbacks", m.serviceMonitor.Spec.Selector.MatchLabels)
	}
	if got := m.serviceMonitor.Spec.Endpoints[0].Port; got != m.metrics.Spec.Ports[0].Name {
		t.Errorf("endpoint port = %s; want %s", got, m.metrics.Spec.Ports[0].Name)
	}
}

func TestReplicasMayBeLeftToAnAutoscaler(t *testing.T) {
	if got := mustRender(t, nil).deployment.Spec.Replicas; got == nil || *got != 2 {
		t.Errorf("replicas = %v; want 2", got)
	}
	if got := mustRender(t, map[string]any{"replicaCount": nil}).deployment.Spec.Replicas; got != nil {
		t.Errorf("replicas = %d; want none", *got)
	}
}

func TestLongReleaseNamesStayValid(t *testing.T) {
	m := mustRender(t, map[string]any{"fullnameOverride": strings.Repeat("long-", 20)})
	for _, name := range []string{m.deployment.Name, m.callbacks.Name, m.metrics.Name} {
		if len(name) > 63 || strings.Contains(name, "--") {
			t.Errorf("name %q is not a valid DNS label", name)
		}
	}
}

func TestValuesAreChecked(t *testing.T) {
	tests := []struct{ name, values, want string }{
		{"a misspelt flag", "worker: {natsURL: nats://n}", "natsURL"},
		{"a misspelt section", "servicemonitor: {enabled: true}", "servicemonitor"},
		{"a misspelt member of a section", "nats: {tls: {secret: x}}", "secret"},
		{"an unknown cloud", "worker: {cloud: china}", "/worker/cloud"},
		{"a duration without a unit", "worker: {ackWait: '15'}", "/worker/ackWait"},
		{"a duration given as a number", "worker: {gracePeriod: 30}", "/worker/gracePeriod"},
		{"a tenant list given as one word", "worker: {tenant: a}", "/worker/tenant"},
		{"no concurrency", "worker: {concurrency: 0}", "/worker/concurrency"},
		{"a listen address without a port", "worker: {metricsListen: localhost}", "/worker/metricsListen"},
		{"a phone prefix without a plus", "worker: {allowPhone: ['49']}", "/worker/allowPhone"},
		{"two sources of NATS credentials", "{worker: {natsCreds: /x}, nats: {creds: text}}", "worker.natsCreds and nats.* both give --nats-creds"},
		{"two sources of a CA", "{worker: {natsCa: /x}, nats: {tls: {existingSecret: mine}}}", "worker.natsCa and nats.* both give --nats-ca"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := render(parse(t, tt.values))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v; want one that names %s", err, tt.want)
			}
		})
	}
}

// keys sorts the keys of a map.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
