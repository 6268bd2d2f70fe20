package charttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const chartDir = "../callbus"

// values reads a file of testdata.
func values(t *testing.T, file string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

// parse reads values as helm -f does.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatalf("values: %v", err)
	}
	return v
}

// render is helm template: it checks the values and returns the documents by
// the name of their template.
func render(vals map[string]any) (map[string]string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	all, err := chartutil.ToRenderValues(chart, vals, chartutil.ReleaseOptions{
		Name: "demo", Namespace: "calling", IsInstall: true,
	}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	documents := map[string]string{}
	for name, text := range files {
		documents[filepath.Base(name)] = text
	}
	return documents, nil
}

// manifests are the objects that a set of values renders to; absent ones are nil.
type manifests struct {
	deployment     *appsv1.Deployment
	callbacks      *corev1.Service
	metrics        *corev1.Service
	serviceAccount *corev1.ServiceAccount
	secret         *corev1.Secret
	serviceMonitor *monitoringv1.ServiceMonitor
	notes          string
}

// decode turns the documents into typed objects. A member that the type does
// not have, or that stands there twice, is an error, and so is a document
// nobody here knows.
func decode(t *testing.T, documents map[string]string) manifests {
	t.Helper()
	var m manifests
	for name, text := range documents {
		if name == "NOTES.txt" {
			m.notes = text
			continue
		}
		if strings.HasPrefix(name, "_") || strings.TrimSpace(text) == "" {
			continue
		}
		var object metav1.Object
		var meta *metav1.TypeMeta
		switch name {
		case "deployment.yaml":
			m.deployment = &appsv1.Deployment{}
			object, meta = m.deployment, &m.deployment.TypeMeta
		case "service-callbacks.yaml":
			m.callbacks = &corev1.Service{}
			object, meta = m.callbacks, &m.callbacks.TypeMeta
		case "service-metrics.yaml":
			m.metrics = &corev1.Service{}
			object, meta = m.metrics, &m.metrics.TypeMeta
		case "serviceaccount.yaml":
			m.serviceAccount = &corev1.ServiceAccount{}
			object, meta = m.serviceAccount, &m.serviceAccount.TypeMeta
		case "secret.yaml":
			m.secret = &corev1.Secret{}
			object, meta = m.secret, &m.secret.TypeMeta
		case "servicemonitor.yaml":
			m.serviceMonitor = &monitoringv1.ServiceMonitor{}
			object, meta = m.serviceMonitor, &m.serviceMonitor.TypeMeta
		default:
			t.Errorf("%s has no type here to check it against", name)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if meta.Kind == "" || meta.APIVersion == "" || object.GetName() == "" || object.GetNamespace() != "calling" {
			t.Errorf("%s is %s %s %s/%s; want kind, version, name and the release's namespace", name, meta.APIVersion, meta.Kind, object.GetNamespace(), object.GetName())
		}
	}
	if m.deployment == nil || m.callbacks == nil || m.metrics == nil {
		t.Fatal("no Deployment or no Service")
	}
	return m
}

func mustRender(t *testing.T, vals map[string]any) manifests {
	t.Helper()
	documents, err := render(vals)
	if err != nil {
		t.Fatalf("render: %v", err)
	}
	return decode(t, documents)
}
