{{/* Names, each cut to what Kubernetes allows with the longest suffix ("-callbacks") still to come. */}}
{{- define "callbus.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "callbus.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "callbus.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "callbus.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "callbus.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "callbus.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "callbus.selectorLabels" -}}
app.kubernetes.io/name: {{ include "callbus.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: worker
{{- end }}

{{- define "callbus.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "callbus.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: callbus
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "callbus.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
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
