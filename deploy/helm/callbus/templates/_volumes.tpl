{{/* Files from Secrets for (list $ role), each under a fixed name, whatever its
key is called. A receiver and a "tool", which speaks to NATS alone, get nothing
of Azure's. */}}
{{- define "callbus.volumes" -}}
{{- $root := first . }}{{ $role := last . }}
{{- $own := include "callbus.fullname" $root }}
{{- include "callbus.natsVolumes" $root }}
{{- if eq $role "worker" }}
{{- with $root.Values.azure }}
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
{{- if $root.Values.simulator.enabled }}
- name: simulator
  configMap:
    name: {{ $own }}-simulator
{{- end }}
{{- end }}
{{- if ne $role "tool" }}
{{- with $root.Values.extraCa }}
{{- if .existingSecret }}
- name: ca
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .key }}, path: extra.crt}]
{{- else if .existingConfigMap }}
- name: ca
  configMap:
    name: {{ .existingConfigMap }}
    items: [{key: {{ .key }}, path: extra.crt}]
{{- end }}
{{- end }}
{{- end }}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "callbus.natsVolumes" -}}
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
{{- end }}

{{/* One mount for each volume made above, and the extra ones. */}}
{{- define "callbus.volumeMounts" -}}
{{- range include "callbus.volumes" . | fromYamlArray }}
{{- if has .name (list "nats" "nats-tls" "azure" "simulator" "ca") }}
- name: {{ .name }}
  mountPath: /etc/callbus/{{ .name }}
  readOnly: true
{{- end }}
{{- end }}
{{- with (first .).Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
