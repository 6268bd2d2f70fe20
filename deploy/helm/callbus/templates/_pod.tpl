{{/* The pod of (list $ role own), where own are the values that this role may have
otherwise than the chart: resources, labels, where it runs. */}}
{{- define "callbus.pod" -}}
{{- $root := index . 0 }}{{ $role := index . 1 }}{{ $own := index . 2 }}
{{- $v := $root.Values }}
metadata:
  labels:
    {{- include "callbus.labelsOf" (list $root $role) | nindent 4 }}
    {{- if and (eq $role "worker") (eq $v.worker.azureCredential "workload") }}
    azure.workload.identity/use: "true"
    {{- end }}
    {{- with merge dict (default dict $own.podLabels) $v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: worker
    checksum/secret: {{ include "callbus.secretData" $root | sha256sum }}
    {{- with merge dict (default dict $own.podAnnotations) $v.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "callbus.serviceAccountName" $root }}
  # Nobody here speaks to Kubernetes. Workload identity brings a token of its own.
  automountServiceAccountToken: false
  enableServiceLinks: false
  # Both begin with the signal; the sum is enough in any case, and the margin is for the kubelet.
  terminationGracePeriodSeconds: {{ add (include "callbus.seconds" (default "30s" $v.worker.gracePeriod)) (include "callbus.seconds" (default "0s" $v.worker.drainDelay)) 10 }}
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with default $v.priorityClassName $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml $v.podSecurityContext | nindent 4 }}
  containers:
    - name: worker
      image: {{ include "callbus.image" $root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        {{- include "callbus.args" (list $root $role) | nindent 8 }}
      {{- with include "callbus.env" (list $root $role $own.resources) | trim }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      {{- with $v.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: metrics
          containerPort: {{ include "callbus.port" $v.worker.metricsListen }}
        {{- if eq $role (include "callbus.receivingComponent" $root) }}
        - name: callbacks
          containerPort: {{ include "callbus.port" $v.worker.callbackListen }}
        {{- end }}
      startupProbe:
        httpGet:
          path: /healthz
          port: metrics
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet:
          path: /healthz
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /readyz
          port: metrics
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      securityContext:
        {{- toYaml $v.securityContext | nindent 8 }}
      {{- with include "callbus.volumeMounts" (list $root $role) | trim }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
    {{- if and (eq $role "worker") $v.simulator.enabled }}
    - name: graphsim
      image: {{ include "callbus.imageOf" (list $root $v.simulator.image) | quote }}
      imagePullPolicy: {{ $v.simulator.image.pullPolicy }}
      # On loopback: its control API has no authentication.
      args:
        - --listen=127.0.0.1:8090
        - --token=callbus-trial
        {{- with $v.simulator.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      resources:
        {{- toYaml $v.simulator.resources | nindent 8 }}
      securityContext:
        {{- toYaml $v.securityContext | nindent 8 }}
    {{- end }}
    {{- if eq $role "worker" }}
    {{- with $v.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- end }}
  {{- with include "callbus.volumes" (list $root $role) | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with default $v.nodeSelector $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with default $v.affinity $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with default $v.tolerations $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with default $v.topologySpreadConstraints $own.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $selector := dict "labelSelector" (dict "matchLabels" (include "callbus.componentLabels" (list $root $role) | fromYaml)) }}
    - {{- toYaml (merge dict . $selector) | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end }}

{{/* What a pod has that runs once and speaks to NATS alone. */}}
{{- define "callbus.toolPod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
restartPolicy: Never
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with include "callbus.volumes" (list . "tool") | trim }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What its container has. */}}
{{- define "callbus.toolContainer" -}}
resources:
  {{- toYaml .Values.tools.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "callbus.volumeMounts" (list . "tool") | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
