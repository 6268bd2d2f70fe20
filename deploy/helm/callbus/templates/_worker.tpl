{{/* .Values.worker as this release wants it, as YAML: a trial's simulated Graph and
NATS know their own addresses, and who provisions leaves workers to verify. */}}
{{- define "callbus.settings" -}}
{{- $w := deepCopy .Values.worker }}
{{- if .Values.trialNats.enabled }}
{{- $_ := set $w "natsUrl" (printf "nats://%s-nats:4222" (include "callbus.fullname" .)) }}
{{- end }}
{{- if .Values.provision.enabled }}
{{- $_ := set $w "streams" "verify" }}
{{- end }}
{{- if .Values.simulator.enabled }}
{{- $_ := set $w "graphUrl" "http://127.0.0.1:8090/v1.0" }}
{{- $_ := set $w "graphTokenFile" "/etc/callbus/simulator/token" }}
{{- $_ := set $w "tenant" (list "aaaabbbb-0000-cccc-1111-dddd2222eeee") }}
{{- $_ := set $w "callbackUrl" (printf "http://127.0.0.1:%s" (include "callbus.port" $w.callbackListen)) }}
{{- $_ := set $w "callbackOidcUrl" (list "http://127.0.0.1:8090/oidc/.well-known/openidconfiguration") }}
{{- $_ := set $w "callbackIssuer" (list "https://graphsim.invalid") }}
{{- $_ := set $w "callbackAudience" "00001111-aaaa-2222-bbbb-3333cccc4444" }}
{{- end }}
{{- toYaml $w }}
{{- end }}

{{/*
The arguments of "worker serve" for (list $ role): every member of the settings
that is not empty, as the flag of the same name. 0 and false are not empty.
natsPassword is left to the environment, where no process list shows it.
*/}}
{{- define "callbus.args" -}}
{{- $root := first . }}
{{- $settings := omit (include "callbus.settings" $root | fromYaml) "natsPassword" }}
{{- if $root.Values.receiver.enabled }}{{ $_ := set $settings "role" (last .) }}{{ end }}
- serve
{{- include "callbus.flags" $settings }}
{{- include "callbus.fileFlags" $root }}
{{- with $root.Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Settings as flags. */}}
{{- define "callbus.flags" -}}
{{- range $name, $value := . }}
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
{{- end }}

{{- define "callbus.fileFlags" -}}
{{- range $flag, $path := include "callbus.natsFiles" . | fromYaml }}
- {{ printf "--%s=%s" $flag $path | quote }}
{{- end }}
{{- end }}

{{/* The arguments of "worker provision" for (list $ mode): what it shares with
"worker serve". */}}
{{- define "callbus.provisionArgs" -}}
{{- $root := first . }}
{{- $settings := include "callbus.settings" $root | fromYaml }}
{{- $settings = pick $settings "natsUrl" "natsCreds" "natsNkey" "natsCa" "natsCert" "natsKey" "natsUser" "natsWait" "prefix" "streamReplicas" "commandsMaxBytes" "resultsMaxBytes" "resultsMaxAge" "eventsMaxAge" "deadMaxAge" "ackWait" "logLevel" "logFormat" }}
{{- $_ := set $settings "streams" (last .) }}
- provision
{{- include "callbus.flags" $settings }}
{{- include "callbus.fileFlags" $root }}
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

{{/* Environment of (list $ role resources): who we are to Azure, what must not be
on a command line, and what the runtime should know of its limits. A receiver
proves nothing to Azure and gets no secret of it. */}}
{{- define "callbus.env" -}}
{{- $root := index . 0 }}{{ $role := index . 1 }}{{ $limits := (index . 2).limits }}
{{- $secret := include "callbus.fullname" $root }}
{{- with $root.Values.azure.clientId }}
- name: AZURE_CLIENT_ID
  value: {{ . | quote }}
{{- end }}
{{- with default (first $root.Values.worker.tenant) $root.Values.azure.tenantId }}
- name: AZURE_TENANT_ID
  value: {{ . | quote }}
{{- end }}
{{- if ne $role "receiver" }}
{{- with $root.Values.azure }}
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
{{- end }}
{{- include "callbus.natsPassword" $root }}
{{- with $root.Values.proxy }}
{{- range $name, $value := dict "HTTPS_PROXY" .https "HTTP_PROXY" .http "NO_PROXY" .no }}
{{- with $value }}
- name: {{ $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if or $root.Values.extraCa.existingSecret $root.Values.extraCa.existingConfigMap }}
# Besides the image's own certificates, not instead of them.
- name: SSL_CERT_DIR
  value: /etc/callbus/ca:/etc/ssl/certs
{{- end }}
{{- $given := list }}
{{- range $root.Values.extraEnv }}{{ $given = append $given .name }}{{ end }}
{{- if and (get (default dict $limits) "memory") (not (has "GOMEMLIMIT" $given)) }}
- name: GOMEMLIMIT
  value: {{ include "callbus.memoryLimit" $limits.memory | quote }}
{{- end }}
{{- if and (get (default dict $limits) "cpu") (not (has "GOMAXPROCS" $given)) }}
- name: GOMAXPROCS
  valueFrom:
    resourceFieldRef:
      resource: limits.cpu
{{- end }}
{{- with $root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "callbus.natsPassword" -}}
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
      name: {{ include "callbus.fullname" . }}
      key: nats-password
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
