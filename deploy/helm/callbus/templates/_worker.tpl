{{/*
The worker's arguments: every member of .Values.worker that is not empty, as the
flag of the same name. 0 and false are not empty. natsPassword is left to the
environment, where no process list shows it.
*/}}
{{- define "callbus.args" -}}
- serve
{{- range $name, $value := omit .Values.worker "natsPassword" }}
{{- $flag := printf "--%s" (kebabcase $name) }}
{{- if kindIs "slice" $value }}
{{- range $value }}
- {{ printf "%s=%v" $flag . | quote }}
{{- end }}
{{- else if kindIs "map" $value }}
{{- range $key, $item := $value }}
- {{ printf "%s=%s=%v" $flag $key $item | quote }}
{{- end }}
{{- else if kindIs "float64" $value }}
- {{ printf "%s=%d" $flag (int64 $value) | quote }}
{{- else if not (or (kindIs "invalid" $value) (and (kindIs "string" $value) (eq $value ""))) }}
- {{ printf "%s=%v" $flag $value | quote }}
{{- end }}
{{- end }}
{{- range $flag, $path := include "callbus.natsFiles" . | fromYaml }}
- {{ printf "--%s=%s" $flag $path | quote }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Flags of NATS that name a mounted file, with its path. */}}
{{- define "callbus.natsFiles" -}}
{{- $files := dict }}
{{- with .Values.nats }}
{{- if .existingSecret }}
{{- if .credsKey }}{{ $_ := set $files "nats-creds" "/etc/callbus/nats/creds" }}{{ end }}
{{- if .nkeyKey }}{{ $_ := set $files "nats-nkey" "/etc/callbus/nats/nkey" }}{{ end }}
{{- else if .creds }}{{ $_ := set $files "nats-creds" "/etc/callbus/nats/creds" }}
{{- end }}
{{- if .tls.existingSecret }}
{{- if .tls.caKey }}{{ $_ := set $files "nats-ca" "/etc/callbus/nats-tls/ca.crt" }}{{ end }}
{{- if .tls.certKey }}{{ $_ := set $files "nats-cert" "/etc/callbus/nats-tls/tls.crt" }}{{ end }}
{{- if .tls.keyKey }}{{ $_ := set $files "nats-key" "/etc/callbus/nats-tls/tls.key" }}{{ end }}
{{- end }}
{{- end }}
{{- range $flag, $path := $files }}
{{- if get $.Values.worker (camelcase (snakecase $flag) | untitle) }}
{{- fail (printf "worker.%s and nats.* both give --%s: set one of them" (camelcase (snakecase $flag) | untitle) $flag) }}
{{- end }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{/* Environment: who we are to Azure and what must not be on a command line. */}}
{{- define "callbus.env" -}}
{{- $secret := include "callbus.fullname" . }}
{{- with .Values.azure.clientId }}
- name: AZURE_CLIENT_ID
  value: {{ . | quote }}
{{- end }}
{{- with default (first .Values.worker.tenant) .Values.azure.tenantId }}
- name: AZURE_TENANT_ID
  value: {{ . | quote }}
{{- end }}
{{- with .Values.azure }}
{{- if and .existingSecret .clientSecretKey (not .clientCertificateKey) }}
- name: AZURE_CLIENT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .clientSecretKey }}
{{- else if and (not .existingSecret) .clientSecret }}
- name: AZURE_CLIENT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: client-secret
{{- end }}
{{- if or (and .existingSecret .clientCertificateKey) (and (not .existingSecret) .clientCertificate) }}
- name: AZURE_CLIENT_CERTIFICATE_PATH
  value: /etc/callbus/azure/client-certificate.pem
{{- end }}
{{- end }}
{{- if and .Values.nats.existingSecret .Values.nats.passwordKey }}
- name: NATS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.nats.existingSecret }}
      key: {{ .Values.nats.passwordKey }}
{{- else if .Values.worker.natsPassword }}
- name: NATS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: nats-password
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What the chart's own Secret holds, as YAML; empty when it is not needed. */}}
{{- define "callbus.secretData" -}}
{{- $data := dict }}
{{- if not .Values.azure.existingSecret }}
{{- with .Values.azure.clientSecret }}{{ $_ := set $data "client-secret" . }}{{ end }}
{{- with .Values.azure.clientCertificate }}{{ $_ := set $data "client-certificate.pem" . }}{{ end }}
{{- end }}
{{- if not .Values.nats.existingSecret }}
{{- with .Values.nats.creds }}{{ $_ := set $data "nats.creds" . }}{{ end }}
{{- end }}
{{- if not (and .Values.nats.existingSecret .Values.nats.passwordKey) }}
{{- with .Values.worker.natsPassword }}{{ $_ := set $data "nats-password" . }}{{ end }}
{{- end }}
{{- if $data }}{{ toYaml $data }}{{ end }}
{{- end }}
