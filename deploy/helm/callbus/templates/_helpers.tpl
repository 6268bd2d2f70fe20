{{/* Names, each cut to what Kubernetes allows with the longest suffix ("-receiver-metrics") still to come. */}}
{{- define "callbus.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 46 | trimSuffix "-" }}
{{- end }}

{{- define "callbus.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else if contains (include "callbus.name" .) .Release.Name }}
{{- .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "callbus.name" .) | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "callbus.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "callbus.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Every pod of the release, whatever it does. */}}
{{- define "callbus.releaseLabels" -}}
app.kubernetes.io/name: {{ include "callbus.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The workers; of another component: "callbus.componentLabels". */}}
{{- define "callbus.selectorLabels" -}}
{{ include "callbus.componentLabels" (list . "worker") }}
{{- end }}

{{- define "callbus.componentLabels" -}}
{{ include "callbus.releaseLabels" (first .) }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "callbus.labels" -}}
{{ include "callbus.labelsOf" (list . "worker") }}
{{- end }}

{{- define "callbus.labelsOf" -}}
{{- $root := first . -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "callbus.componentLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: callbus
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An image of (list $ values): the digest beats the tag. */}}
{{- define "callbus.imageOf" -}}
{{- $root := first . }}{{ $image := last . -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end }}
{{- end }}

{{- define "callbus.image" -}}
{{ include "callbus.imageOf" (list . .Values.image) }}
{{- end }}

{{/* The component that receives notifications. */}}
{{- define "callbus.receivingComponent" -}}
{{- ternary "receiver" "worker" .Values.receiver.enabled }}
{{- end }}

{{/* The port of a listen address such as ":9464" or "0.0.0.0:9464". */}}
{{- define "callbus.port" -}}
{{- splitList ":" . | last }}
{{- end }}

{{/* A Go duration such as "1m30s" in whole seconds, rounded up. */}}
{{- define "callbus.seconds" -}}
{{- $seconds := 0.0 }}
{{- range regexFindAll "[0-9.]+(ns|us|ms|s|m|h)" . -1 }}
{{- $n := regexFind "^[0-9.]+" . | float64 }}
{{- $unit := get (dict "ns" 0.000000001 "us" 0.000001 "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) (regexFind "[a-z]+$" .) }}
{{- $seconds = addf $seconds (mulf $n $unit) }}
{{- end }}
{{- ceil $seconds | int64 }}
{{- end }}

{{/* 90 % of a quantity of memory such as "512Mi", in bytes: what Go may use before
it collects harder. The rest is for what is not Go's heap. */}}
{{- define "callbus.memoryLimit" -}}
{{- $text := toString . }}
{{- $n := regexFind "^[0-9.]+" $text | float64 }}
{{- $unit := get (dict "" 1.0 "k" 1000.0 "M" 1000000.0 "G" 1000000000.0 "T" 1000000000000.0 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0) (regexFind "[A-Za-z]*$" $text) }}
{{- if not $unit }}{{ fail (printf "limits.memory is %s: want a number with k, M, G, T, Ki, Mi, Gi, Ti or no unit" $text) }}{{ end }}
{{- mulf $n $unit 0.9 | floor | int64 }}
{{- end }}

{{/* What cannot go together; included once, by the Deployment. */}}
{{- define "callbus.check" -}}
{{- with .Values }}
{{- if and .receiver.enabled .worker.role (ne .worker.role "worker") }}
{{- fail (printf "worker.role is %s and receiver.enabled: leave it empty, the chart gives each Deployment its role" .worker.role) }}
{{- end }}
{{- if and .simulator.enabled (or .receiver.enabled .keda.enabled (not (eq (toString .replicaCount) "1"))) }}
{{- fail "simulator.enabled: a simulated Graph lives in its worker's pod; it wants replicaCount: 1, no receiver and no KEDA" }}
{{- end }}
{{- if and .provision.enabled .trialNats.enabled }}
{{- fail "provision.enabled: the Job runs before the NATS of trialNats is there; let the worker provision" }}
{{- end }}
{{- if and .provision.enabled (include "callbus.secretData" $) }}
{{- fail "provision.enabled: the Job runs before the chart's own Secret is there; use nats.existingSecret and azure.existingSecret" }}
{{- end }}
{{- if and .provision.enabled .worker.streams (ne .worker.streams "verify") }}
{{- fail (printf "worker.streams is %s and provision.enabled: the Job provisions, workers verify" .worker.streams) }}
{{- end }}
{{- if and .keda.enabled (eq .keda.trigger "prometheus") (not .keda.prometheus.serverAddress) }}
{{- fail "keda.prometheus.serverAddress is missing: the URL of the Prometheus that scrapes the workers" }}
{{- end }}
{{- if and .keda.enabled (eq .keda.trigger "jetstream") (not .keda.jetstream.monitoringEndpoint) }}
{{- fail "keda.jetstream.monitoringEndpoint is missing: host and port of NATS's monitoring, such as nats.nats.svc:8222" }}
{{- end }}
{{- if and (or .ingress.enabled .httpRoute.enabled) (not .worker.callbackUrl) }}
{{- fail "worker.callbackUrl is missing: ingress and httpRoute take their host and path from it" }}
{{- end }}
{{- if and .networkPolicy.cilium.enabled (not .networkPolicy.enabled) }}
{{- fail "networkPolicy.cilium.enabled: it adds host names to networkPolicy; enable that too" }}
{{- end }}
{{- end }}
{{- end }}
