package charttest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kedav1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// What is switched on, and nothing else, comes on top of what there always is.
func TestSwitches(t *testing.T) {
	url := "worker: {callbackUrl: https://calls.example.invalid/hooks/}"
	tests := []struct {
		values string
		want   []string // more objects than without
	}{
		{"{}", nil},
		{"receiver: {enabled: true}", []string{"*v1.Deployment demo-callbus-receiver", "*v1.Service demo-callbus-receiver-metrics"}},
		{"receiver: {enabled: true, autoscaling: {enabled: true}, podDisruptionBudget: {enabled: true}}", []string{
			"*v1.Deployment demo-callbus-receiver", "*v1.PodDisruptionBudget demo-callbus-receiver", "*v1.Service demo-callbus-receiver-metrics", "*v2.HorizontalPodAutoscaler demo-callbus-receiver"}},
		{"podDisruptionBudget: {enabled: true}", []string{"*v1.PodDisruptionBudget demo-callbus"}},
		{"keda: {enabled: true, prometheus: {serverAddress: 'http://p:9090'}}", []string{"*v1alpha1.ScaledObject demo-callbus"}},
		{"networkPolicy: {enabled: true}", []string{"*v1.NetworkPolicy demo-callbus", "*v1.NetworkPolicy demo-callbus-test"}},
		{"networkPolicy: {enabled: true, cilium: {enabled: true}}", []string{"*charttest.ciliumPolicy demo-callbus", "*v1.NetworkPolicy demo-callbus", "*v1.NetworkPolicy demo-callbus-test"}},
		{"{networkPolicy: {enabled: true}, receiver: {enabled: true}, provision: {enabled: true}}", []string{
			"*v1.Deployment demo-callbus-receiver", "*v1.Job demo-callbus-provision", "*v1.NetworkPolicy demo-callbus", "*v1.NetworkPolicy demo-callbus-provision",
			"*v1.NetworkPolicy demo-callbus-receiver", "*v1.NetworkPolicy demo-callbus-test", "*v1.Service demo-callbus-receiver-metrics"}},
		{"{ingress: {enabled: true}, " + url + "}", []string{"*v1.Ingress demo-callbus-callbacks"}},
		{"{httpRoute: {enabled: true, parentRefs: [{name: public}]}, " + url + "}", []string{"*v1.HTTPRoute demo-callbus-callbacks"}},
		{"provision: {enabled: true}", []string{"*v1.Job demo-callbus-provision"}},
		{"{simulator: {enabled: true}, replicaCount: 1}", []string{"*v1.ConfigMap demo-callbus-simulator", "*v1.Pod demo-callbus-test-call"}},
		{"trialNats: {enabled: true}", []string{"*v1.ConfigMap demo-callbus-nats", "*v1.Service demo-callbus-nats", "*v1.StatefulSet demo-callbus-nats"}},
		{"serviceMonitor: {enabled: true}", []string{"*v1.ServiceMonitor demo-callbus"}},
	}
	always := names(mustRender(t, nil))
	for _, tt := range tests {
		t.Run(tt.values, func(t *testing.T) {
			got := slices.DeleteFunc(names(set(t, tt.values)), func(n string) bool { return slices.Contains(always, n) })
			if diff := cmp.Diff(tt.want, got); diff != "" && len(got)+len(tt.want) > 0 {
				t.Errorf("more objects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatCannotGoTogetherIsRefused(t *testing.T) {
	tests := []struct{ values, want string }{
		{"{receiver: {enabled: true}, worker: {role: all}}", "worker.role is all and receiver.enabled"},
		{"simulator: {enabled: true}", "wants replicaCount: 1"},
		{"{simulator: {enabled: true}, replicaCount: 1, receiver: {enabled: true}}", "no receiver"},
		{"{provision: {enabled: true}, trialNats: {enabled: true}}", "before the NATS of trialNats"},
		{"{provision: {enabled: true}, nats: {creds: text}}", "before the chart's own Secret"},
		{"{provision: {enabled: true}, worker: {streams: create}}", "workers verify"},
		{"keda: {enabled: true}", "keda.prometheus.serverAddress is missing"},
		{"keda: {enabled: true, trigger: jetstream}", "keda.jetstream.monitoringEndpoint is missing"},
		{"keda: {enabled: true, minReplicas: 0, prometheus: {serverAddress: 'http://p'}}", "/keda/minReplicas"},
		{"ingress: {enabled: true}", "worker.callbackUrl is missing"},
		{"httpRoute: {enabled: true}", "/httpRoute/parentRefs"},
		{"networkPolicy: {cilium: {enabled: true}}", "enable that too"},
		{"networkPolicy: {egressCidrs: [graph.microsoft.com]}", "/networkPolicy/egressCidrs"},
		{"resources: {limits: {memory: 512m}}", "limits.memory is 512m"},
		{"podDisruptionBudget: {maxUnavailable: half}", "/podDisruptionBudget/maxUnavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.values, func(t *testing.T) {
			if _, err := render(parse(t, tt.values)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v; want one with %q", err, tt.want)
			}
		})
	}
}

func TestAReceiverHasNothingOfAzures(t *testing.T) {
	m := set(t, "{receiver: {enabled: true}, azure: {existingSecret: mine, clientId: app}, worker: {azureCredential: workload}, nats: {existingSecret: mynats}}")
	receiver := find[*appsv1.Deployment](m, "demo-callbus-receiver")
	env, files := handedOver(receiver.Spec.Template.Spec)
	if diff := cmp.Diff(map[string]string{"/etc/callbus/nats/creds": "mynats/nats.creds"}, files); diff != "" || len(env) > 0 {
		t.Errorf("secrets in the environment %v; files (-want +got):\n%s", env, diff)
	}
	if l := receiver.Spec.Template.Labels["azure.workload.identity/use"]; l != "" {
		t.Errorf("workload identity is %q; want none", l)
	}
	for role, pod := range map[string]corev1.PodSpec{"receiver": receiver.Spec.Template.Spec, "worker": m.deployment.Spec.Template.Spec} {
		if !slices.Contains(pod.Containers[0].Args, "--role="+role) {
			t.Errorf("args %q lack --role=%s", pod.Containers[0].Args, role)
		}
		open := slices.ContainsFunc(pod.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == "callbacks" })
		if open != (role == "receiver") {
			t.Errorf("port for callbacks of a %s = %v; want it on receivers alone", role, open)
		}
	}
	if diff := cmp.Diff(receiver.Spec.Selector.MatchLabels, m.callbacks.Spec.Selector); diff != "" {
		t.Errorf("the Service for callbacks leads elsewhere (-receivers +selector):\n%s", diff)
	}
}

func TestAutoscalersFindTheirDeployments(t *testing.T) {
	m := mustRender(t, values(t, "full.yaml"))
	hpa := find[*autoscalingv2.HorizontalPodAutoscaler](m, "demo-callbus-receiver")
	for name, target := range map[string]string{"receiver": hpa.Spec.ScaleTargetRef.Name, "worker": find[*kedav1.ScaledObject](m, "demo-callbus").Spec.ScaleTargetRef.Name} {
		d := find[*appsv1.Deployment](m, target)
		if d == nil || d.Labels["app.kubernetes.io/component"] != name || d.Spec.Replicas != nil {
			t.Errorf("the autoscaler of %ss scales %q = %+v; want a Deployment without replicas", name, target, d)
		}
	}
}

func TestScalingIsCappedByTheQuota(t *testing.T) {
	for quota, want := range map[string]int32{"null": 10, "1000": 10, "120": 3, "1": 2} {
		m := set(t, "keda: {enabled: true, quota: {requestsPerSecond: "+quota+"}, prometheus: {serverAddress: 'http://p:9090'}}")
		so := find[*kedav1.ScaledObject](m, "demo-callbus")
		if got := *so.Spec.MaxReplicaCount; got != want || *so.Spec.MinReplicaCount != 2 {
			t.Errorf("quota %s: at most %d replicas; want %d", quota, got, want)
		}
		if q := so.Spec.Triggers[0].Metadata["query"]; q != `sum(max by (lane) (callbus_backlog_runnable{namespace="calling",lane!="urgent"}))` {
			t.Errorf("query = %s", q)
		}
	}
}

func TestTheJetStreamTriggerNamesStreamAndConsumers(t *testing.T) {
	for prefix, stream := range map[string]string{"": "CALL_COMMANDS", "staging-2": "STAGING-2_COMMANDS"} {
		m := set(t, "{worker: {prefix: '"+prefix+"'}, keda: {enabled: true, trigger: jetstream, jetstream: {monitoringEndpoint: 'nats:8222'}}}")
		var consumers []string
		for _, tr := range find[*kedav1.ScaledObject](m, "demo-callbus").Spec.Triggers {
			consumers = append(consumers, tr.Metadata["consumer"])
			if tr.Metadata["stream"] != stream {
				t.Errorf("stream = %s; want %s", tr.Metadata["stream"], stream)
			}
		}
		if diff := cmp.Diff([]string{"control", "place"}, consumers); diff != "" {
			t.Errorf("consumers (-want +got):\n%s", diff)
		}
	}
}

func TestProvisioningIsTheJobsAndWorkersVerify(t *testing.T) {
	m := mustRender(t, values(t, "values-production.yaml"))
	job := find[*batchv1.Job](m, "demo-callbus-provision").Spec.Template.Spec.Containers[0].Args
	for _, want := range []string{"--streams=reconcile", "--stream-replicas=3", "--nats-creds=/etc/callbus/nats/creds", "--nats-ca=/etc/callbus/nats-tls/ca.crt"} {
		if !slices.Contains(job, want) {
			t.Errorf("the Job's args %q lack %s", job, want)
		}
	}
	if args := m.deployment.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--streams=verify") {
		t.Errorf("the workers' args %q lack --streams=verify", args)
	}
}

func TestNetworkPolicies(t *testing.T) {
	m := set(t, "{networkPolicy: {enabled: true, egressCidrs: [20.0.0.0/8], callbacks: {from: [{podSelector: {}}]}}, receiver: {enabled: true}}")
	for _, o := range m.objects {
		if p, ok := o.(*networkingv1.NetworkPolicy); ok && len(p.Spec.PolicyTypes) != 2 {
			t.Errorf("%s is about %v; want Ingress and Egress", p.Name, p.Spec.PolicyTypes)
		}
	}
	worker, receiver := find[*networkingv1.NetworkPolicy](m, "demo-callbus"), find[*networkingv1.NetworkPolicy](m, "demo-callbus-receiver")
	if diff := cmp.Diff([]string{"metrics"}, portsIn(worker)); diff != "" {
		t.Errorf("into workers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"metrics", "callbacks"}, portsIn(receiver)); diff != "" {
		t.Errorf("into receivers (-want +got):\n%s", diff)
	}
	https := worker.Spec.Egress[2]
	if https.To[0].IPBlock.CIDR != "20.0.0.0/8" || https.Ports[0].Port.IntVal != 443 || len(worker.Spec.Egress) != 3 {
		t.Errorf("egress %+v; want DNS, NATS, and https to 20.0.0.0/8", worker.Spec.Egress)
	}
	// Policies add up: with host names there must be no way by address.
	m = set(t, "networkPolicy: {enabled: true, cilium: {enabled: true}}")
	if n := len(find[*networkingv1.NetworkPolicy](m, "demo-callbus").Spec.Egress); n != 2 {
		t.Errorf("with Cilium %d rules let out by address; want DNS and NATS", n)
	}
}

func portsIn(p *networkingv1.NetworkPolicy) (ports []string) {
	for _, rule := range p.Spec.Ingress {
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.StrVal)
		}
	}
	return ports
}

func TestTheWayInFollowsTheCallbackURL(t *testing.T) {
	m := set(t, "{worker: {callbackUrl: 'https://calls.example.invalid/hooks/'}, ingress: {enabled: true, certManager: {clusterIssuer: le}}, httpRoute: {enabled: true, parentRefs: [{name: public}]}}")
	in := find[*networkingv1.Ingress](m, "demo-callbus-callbacks")
	path := in.Spec.Rules[0].HTTP.Paths[0]
	if in.Spec.Rules[0].Host != "calls.example.invalid" || path.Path != "/hooks/v1/notifications" || path.Backend.Service.Name != m.callbacks.Name {
		t.Errorf("ingress %+v to %+v", in.Spec.Rules[0], path.Backend.Service)
	}
	if in.Annotations["cert-manager.io/cluster-issuer"] != "le" || in.Spec.TLS[0].SecretName != "demo-callbus-callbacks-tls" {
		t.Errorf("annotations %v, TLS %+v", in.Annotations, in.Spec.TLS)
	}
	route := find[*gatewayv1.HTTPRoute](m, "demo-callbus-callbacks")
	if route.Spec.Hostnames[0] != "calls.example.invalid" || *route.Spec.Rules[0].Matches[0].Path.Value != "/hooks/v1/notifications" || string(route.Spec.Rules[0].BackendRefs[0].Name) != m.callbacks.Name {
		t.Errorf("route %+v", route.Spec)
	}
}

func TestSpreadConstraintsGetThePodsOwnLabels(t *testing.T) {
	m := mustRender(t, values(t, "values-production.yaml"))
	for _, d := range []*appsv1.Deployment{m.deployment, find[*appsv1.Deployment](m, "demo-callbus-receiver")} {
		for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
			if c.LabelSelector == nil || !cmp.Equal(c.LabelSelector.MatchLabels, d.Spec.Selector.MatchLabels) {
				t.Errorf("%s spreads %+v; want its own pods", d.Name, c.LabelSelector)
			}
		}
		budget := find[*policyv1.PodDisruptionBudget](m, d.Name)
		if budget == nil || !cmp.Equal(budget.Spec.Selector.MatchLabels, d.Spec.Selector.MatchLabels) {
			t.Errorf("the budget of %s is %+v", d.Name, budget)
		}
	}
}

func TestProxyAndCertificatesReachEveryPod(t *testing.T) {
	m := set(t, "{receiver: {enabled: true}, proxy: {https: 'http://proxy:3128', 'no': .svc}, extraCa: {existingConfigMap: ca}, resources: {limits: {cpu: '2'}}}")
	for _, d := range []*appsv1.Deployment{m.deployment, find[*appsv1.Deployment](m, "demo-callbus-receiver")} {
		c := d.Spec.Template.Spec.Containers[0]
		env := map[string]string{}
		for _, e := range c.Env {
			env[e.Name] = e.Value
		}
		if env["HTTPS_PROXY"] != "http://proxy:3128" || env["NO_PROXY"] != ".svc" || env["SSL_CERT_DIR"] != "/etc/callbus/ca:/etc/ssl/certs" {
			t.Errorf("%s has the environment %v", d.Name, env)
		}
		if !slices.ContainsFunc(c.VolumeMounts, func(v corev1.VolumeMount) bool { return v.MountPath == "/etc/callbus/ca" }) {
			t.Errorf("%s mounts %+v; want the certificates too", d.Name, c.VolumeMounts)
		}
		if _, given := env["GOMAXPROCS"]; given != (d == m.deployment) {
			t.Errorf("%s: GOMAXPROCS given = %v; want it where there is a limit", d.Name, given)
		}
	}
}

// names are type and name of every object.
func names(m manifests) []string {
	var all []string
	for _, o := range m.objects {
		all = append(all, reflect.TypeOf(o).String()+" "+o.GetName())
	}
	slices.Sort(all)
	return all
}
