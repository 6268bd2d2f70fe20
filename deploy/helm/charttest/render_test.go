package charttest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	kedav1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

const chartDir = "../callbus"

// values reads a file of testdata, or one that comes with the chart.
func values(t *testing.T, file string) map[string]any {
	t.Helper()
	dir := "testdata"
	if strings.HasPrefix(file, "values-") {
		dir = chartDir
	}
	data, err := os.ReadFile(filepath.Join(dir, file))
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

// render is helm template: it checks the values and returns what each template
// makes, by its path under templates.
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
		_, path, _ := strings.Cut(name, "/templates/")
		documents[path] = text
	}
	return documents, nil
}

// manifests are the objects that a set of values renders to.
type manifests struct {
	objects []metav1.Object
	notes   string
	yaml    string // all of them, as helm template prints them

	// The ones that every test asks for; absent ones are nil.
	deployment     *appsv1.Deployment
	callbacks      *corev1.Service
	metrics        *corev1.Service
	serviceAccount *corev1.ServiceAccount
	secret         *corev1.Secret
	serviceMonitor *monitoringv1.ServiceMonitor
	prometheusRule *monitoringv1.PrometheusRule
	dashboards     *corev1.ConfigMap
}

// find is the object of a type and name, or nil.
func find[T metav1.Object](m manifests, name string) T {
	for _, o := range m.objects {
		if typed, ok := o.(T); ok && o.GetName() == name {
			return typed
		}
	}
	var none T
	return none
}

// ciliumPolicy is as much of cilium.io/v2 as the chart writes; the real CRD is
// asked by "make kube".
type ciliumPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		EndpointSelector metav1.LabelSelector `json:"endpointSelector"`
		Egress           []struct {
			ToEndpoints []metav1.LabelSelector `json:"toEndpoints"`
			ToFQDNs     []struct {
				MatchName    string `json:"matchName"`
				MatchPattern string `json:"matchPattern"`
			} `json:"toFQDNs"`
			ToPorts []struct {
				Ports []struct {
					Port     string `json:"port"`
					Protocol string `json:"protocol"`
				} `json:"ports"`
				Rules struct {
					DNS []struct {
						MatchPattern string `json:"matchPattern"`
					} `json:"dns"`
				} `json:"rules"`
			} `json:"toPorts"`
		} `json:"egress"`
	} `json:"spec"`
}

// kinds are the types to check against, by apiVersion and kind.
var kinds = map[string]func() metav1.Object{
	"apps/v1 Deployment":                      func() metav1.Object { return &appsv1.Deployment{} },
	"apps/v1 StatefulSet":                     func() metav1.Object { return &appsv1.StatefulSet{} },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() metav1.Object { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"batch/v1 Job":                            func() metav1.Object { return &batchv1.Job{} },
	"cilium.io/v2 CiliumNetworkPolicy":        func() metav1.Object { return &ciliumPolicy{} },
	"gateway.networking.k8s.io/v1 HTTPRoute":  func() metav1.Object { return &gatewayv1.HTTPRoute{} },
	"keda.sh/v1alpha1 ScaledObject":           func() metav1.Object { return &kedav1.ScaledObject{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() metav1.Object { return &monitoringv1.PrometheusRule{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() metav1.Object { return &monitoringv1.ServiceMonitor{} },
	"networking.k8s.io/v1 Ingress":            func() metav1.Object { return &networkingv1.Ingress{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() metav1.Object { return &networkingv1.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":           func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
	"v1 ConfigMap":                            func() metav1.Object { return &corev1.ConfigMap{} },
	"v1 Pod":                                  func() metav1.Object { return &corev1.Pod{} },
	"v1 Secret":                               func() metav1.Object { return &corev1.Secret{} },
	"v1 Service":                              func() metav1.Object { return &corev1.Service{} },
	"v1 ServiceAccount":                       func() metav1.Object { return &corev1.ServiceAccount{} },
}

var separator = regexp.MustCompile(`(?m)^---$`)

// decode turns the documents into typed objects. A member that the type does
// not have, or that stands there twice, is an error, and so is a kind nobody
// here knows.
func decode(t *testing.T, documents map[string]string) manifests {
	t.Helper()
	var m manifests
	for _, name := range keys(documents) {
		if name == "NOTES.txt" {
			m.notes = documents[name]
			continue
		}
		for _, text := range separator.Split(documents[name], -1) {
			var meta metav1.TypeMeta
			if err := yaml.Unmarshal([]byte(text), &meta); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, text)
			}
			if meta.Kind == "" && meta.APIVersion == "" {
				continue // comments, or nothing
			}
			make, known := kinds[meta.APIVersion+" "+meta.Kind]
			if !known {
				t.Errorf("%s: %s %s has no type here to check it against", name, meta.APIVersion, meta.Kind)
				continue
			}
			object := make()
			if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
				continue
			}
			if n := object.GetName(); n == "" || len(n) > 63 || object.GetNamespace() != "calling" {
				t.Errorf("%s: %s %s/%s; want a name of at most 63 characters and the release's namespace", name, meta.Kind, object.GetNamespace(), n)
			}
			m.objects = append(m.objects, object)
			m.yaml += "---\n" + text
		}
	}
	full := "demo-callbus"
	for _, o := range m.objects {
		if d, ok := o.(*appsv1.Deployment); ok && d.Labels["app.kubernetes.io/component"] == "worker" {
			m.deployment, full = d, d.Name
		}
	}
	m.callbacks, m.metrics = find[*corev1.Service](m, full+"-callbacks"), find[*corev1.Service](m, full+"-metrics")
	m.serviceMonitor, m.secret = find[*monitoringv1.ServiceMonitor](m, full), find[*corev1.Secret](m, full)
	m.prometheusRule, m.dashboards = find[*monitoringv1.PrometheusRule](m, full), find[*corev1.ConfigMap](m, full+"-dashboards")
	m.serviceAccount = find[*corev1.ServiceAccount](m, full)
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

// set renders values given as text.
func set(t *testing.T, text string) manifests {
	t.Helper()
	return mustRender(t, parse(t, text))
}
