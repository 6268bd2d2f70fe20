{{/* Files from Secrets, each under a fixed name, whatever its key is called. */}}
{{- define "callbus.volumes" -}}
{{- $own := include "callbus.fullname" . }}
{{- with .Values.nats }}
{{- if and .existingSecret (or .credsKey .nkeyKey) }}
- name: nats
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      {{- if .credsKey }}
      - key: {{ .credsKey }}
        path: creds
      {{- end }}
      {{- if .nkeyKey }}
      - key: {{ .nkeyKey }}
        path: nkey
      {{- end }}
{{- else if and (not .existingSecret) .creds }}
- name: nats
  secret:
    secretName: {{ $own }}
    defaultMode: 0440
    items:
      - key: nats.creds
        path: creds
{{- end }}
{{- if and .tls.existingSecret (or .tls.caKey .tls.certKey .tls.keyKey) }}
- name: nats-tls
  secret:
    secretName: {{ .tls.existingSecret }}
    defaultMode: 0440
    items:
      {{- if .tls.caKey }}
      - key: {{ .tls.caKey }}
        path: ca.crt
      {{- end }}
      {{- if .tls.certKey }}
      - key: {{ .tls.certKey }}
        path: tls.crt
      {{- end }}
      {{- if .tls.keyKey }}
      - key: {{ .tls.keyKey }}
        path: tls.key
      {{- end }}
{{- end }}
{{- end }}
{{- with .Values.azure }}
{{- if and .existingSecret .clientCertificateKey }}
- name: azure
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .clientCertificateKey }}
        path: client-certificate.pem
{{- else if and (not .existingSecret) .clientCertificate }}
- name: azure
  secret:
    secretName: {{ $own }}
    defaultMode: 0440
    items:
      - key: client-certificate.pem
        path: client-certificate.pem
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* One mount for each volume made above, and the extra ones. */}}
{{- define "callbus.volumeMounts" -}}
{{- range include "callbus.volumes" . | fromYamlArray }}
{{- if has .name (list "nats" "nats-tls" "azure") }}
- name: {{ .name }}
  mountPath: /etc/callbus/{{ .name }}
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
