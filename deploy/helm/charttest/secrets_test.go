package charttest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// handedOver tells how secrets reach the container: environment variables as
// "secret/key", files as "secret/key" by path.
func handedOver(pod corev1.PodSpec) (env, files map[string]string) {
	env, files = map[string]string{}, map[string]string{}
	for _, e := range pod.Containers[0].Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			env[e.Name] = e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
		}
	}
	for _, mount := range pod.Containers[0].VolumeMounts {
		for _, v := range pod.Volumes {
			if v.Name != mount.Name || v.Secret == nil {
				continue
			}
			for _, item := range v.Secret.Items {
				files[mount.MountPath+"/"+item.Path] = v.Secret.SecretName + "/" + item.Key
			}
		}
	}
	return env, files
}

func TestSecretsReachTheWorker(t *testing.T) {
	const made = "demo-callbus"
	tests := []struct {
		name, values string
		env, files   map[string]string
		secret       []string // keys of the Secret that the chart makes
		args         []string // among the worker's arguments
	}{
		{"nothing given, nothing mounted", "{}", nil, nil, nil, nil},
		{"an existing client secret", "azure: {existingSecret: mine}",
			map[string]string{"AZURE_CLIENT_SECRET": "mine/client-secret"}, nil, nil, nil},
		{"an existing certificate", "azure: {existingSecret: mine, clientCertificateKey: tls.pem}",
			nil, map[string]string{"/etc/callbus/azure/client-certificate.pem": "mine/tls.pem"}, nil, nil},
		{"a client secret for the chart to keep", "azure: {clientSecret: s3cret}",
			map[string]string{"AZURE_CLIENT_SECRET": made + "/client-secret"}, nil, []string{"client-secret"}, nil},
		{"a certificate for the chart to keep", `azure: {clientCertificate: "-----BEGIN\n"}`,
			nil, map[string]string{"/etc/callbus/azure/client-certificate.pem": made + "/client-certificate.pem"},
			[]string{"client-certificate.pem"}, nil},
		{"existing credentials of NATS", "nats: {existingSecret: mynats}",
			nil, map[string]string{"/etc/callbus/nats/creds": "mynats/nats.creds"}, nil, []string{"--nats-creds=/etc/callbus/nats/creds"}},
		{"an existing nkey and no credentials", "nats: {existingSecret: mynats, credsKey: '', nkeyKey: seed}",
			nil, map[string]string{"/etc/callbus/nats/nkey": "mynats/seed"}, nil, []string{"--nats-nkey=/etc/callbus/nats/nkey"}},
		{"an existing password", "{nats: {existingSecret: mynats, credsKey: '', passwordKey: pw}, worker: {natsUser: u}}",
			map[string]string{"NATS_PASSWORD": "mynats/pw"}, nil, nil, []string{"--nats-user=u"}},
		{"credentials for the chart to keep", "nats: {creds: text}",
			nil, map[string]string{"/etc/callbus/nats/creds": made + "/nats.creds"}, []string{"nats.creds"}, []string{"--nats-creds=/etc/callbus/nats/creds"}},
		{"a password for the chart to keep", "worker: {natsUser: u, natsPassword: s3cret}",
			map[string]string{"NATS_PASSWORD": made + "/nats-password"}, nil, []string{"nats-password"}, []string{"--nats-user=u"}},
		{"mutual TLS", "nats: {tls: {existingSecret: t, certKey: tls.crt, keyKey: tls.key}}",
			nil, map[string]string{"/etc/callbus/nats-tls/ca.crt": "t/ca.crt", "/etc/callbus/nats-tls/tls.crt": "t/tls.crt", "/etc/callbus/nats-tls/tls.key": "t/tls.key"},
			nil, []string{"--nats-ca=/etc/callbus/nats-tls/ca.crt", "--nats-cert=/etc/callbus/nats-tls/tls.crt", "--nats-key=/etc/callbus/nats-tls/tls.key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := mustRender(t, parse(t, tt.values))
			pod := m.deployment.Spec.Template.Spec
			env, files := handedOver(pod)
			if diff := cmp.Diff(orEmpty(tt.env), env); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(orEmpty(tt.files), files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			var made []string
			if m.secret != nil {
				made = keys(m.secret.StringData)
			}
			if diff := cmp.Diff(tt.secret, made); diff != "" {
				t.Errorf("keys of the chart's Secret (-want +got):\n%s", diff)
			}
			args := "\n" + strings.Join(pod.Containers[0].Args, "\n") + "\n"
			for _, want := range tt.args {
				if !strings.Contains(args, "\n"+want+"\n") {
					t.Errorf("args lack %s:%s", want, args)
				}
			}
			if strings.Contains(args, "s3cret") {
				t.Errorf("a secret stands in the args:%s", args)
			}
		})
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func TestAChangedSecretRestartsThePods(t *testing.T) {
	checksum := func(values string) string {
		return mustRender(t, parse(t, values)).deployment.Spec.Template.Annotations["checksum/secret"]
	}
	if a, b := checksum("azure: {clientSecret: a}"), checksum("azure: {clientSecret: b}"); a == b || a == "" {
		t.Errorf("checksums %q and %q; want two that differ", a, b)
	}
}

func TestWorkloadIdentity(t *testing.T) {
	m := mustRender(t, parse(t, "{worker: {azureCredential: workload, tenant: [t1, t2]}, azure: {clientId: app}, serviceAccount: {annotations: {a: b}}}"))
	if got := m.deployment.Spec.Template.Labels["azure.workload.identity/use"]; got != "true" {
		t.Errorf("pod label = %q; want true", got)
	}
	if diff := cmp.Diff(map[string]string{"a": "b", "azure.workload.identity/client-id": "app"}, m.serviceAccount.Annotations); diff != "" {
		t.Errorf("annotations of the account (-want +got):\n%s", diff)
	}
	env := map[string]string{}
	for _, e := range m.deployment.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
	}
	if diff := cmp.Diff(map[string]string{"AZURE_CLIENT_ID": "app", "AZURE_TENANT_ID": "t1", "GOMEMLIMIT": "483183820"}, env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}
