{{/* Parts of pods that all services have in common. */}}

{{/*
Spec of a pod up to its containers: (dict "root" $ "component" "relay" "hostNetwork" true "privilegedPorts" false).
*/}}
{{- define "culvert.podSpec" -}}
{{- $values := index .root.Values .component -}}
serviceAccountName: {{ include "culvert.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
securityContext:
  {{- include "culvert.podSecurityContext" . | nindent 2 }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "culvert.affinity" . | fromYaml }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- include "culvert.topologySpread" (dict "context" . "key" "topology.kubernetes.io/zone") | nindent 2 }}
  {{- if not .antiAffinity }}
  {{- include "culvert.topologySpread" (dict "context" . "key" "kubernetes.io/hostname") | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* Where mode or ports demand more than the security context of the values, this adds it. */}}
{{- define "culvert.podSecurityContext" -}}
{{- $context := deepCopy .root.Values.podSecurityContext -}}
{{- if and .privilegedPorts .hostNetwork -}}
{{- $context = mergeOverwrite $context (dict "runAsNonRoot" false "runAsUser" 0) -}}
{{- else if .privilegedPorts -}}
{{- $sysctl := dict "name" "net.ipv4.ip_unprivileged_port_start" "value" "0" -}}
{{- $context = set $context "sysctls" (append (default (list) $context.sysctls) $sysctl) -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "culvert.containerSecurityContext" -}}
{{- $context := deepCopy .root.Values.containerSecurityContext -}}
{{- if and .privilegedPorts .hostNetwork -}}
{{- $context = mergeOverwrite $context (dict "capabilities" (dict "add" (list "NET_BIND_SERVICE"))) -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "culvert.affinity" -}}
{{- $affinity := deepCopy (index .root.Values .component).affinity -}}
{{- if and .antiAffinity (not $affinity.podAntiAffinity) -}}
{{- $selector := dict "matchLabels" (include "culvert.selector" . | fromYaml) -}}
{{- $term := dict "labelSelector" $selector "topologyKey" "kubernetes.io/hostname" -}}
{{- if eq .antiAffinity "required" -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- else if eq .antiAffinity "preferred" -}}
{{- $weighted := dict "weight" 100 "podAffinityTerm" $term -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list $weighted)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{- define "culvert.topologySpread" -}}
- maxSkew: 1
  topologyKey: {{ .key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "culvert.selector" .context | nindent 6 }}
{{- end -}}

{{/* The container of a service up to its env: (dict "root" $ "component" "relay" "config" "culvert.yaml"). */}}
{{- define "culvert.container" -}}
name: {{ .component }}
image: {{ include "culvert.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [{{ .component }}, --config, {{ printf "/etc/culvert/%s" (default "culvert.yaml" .config) | quote }}]
securityContext:
  {{- include "culvert.containerSecurityContext" . | nindent 2 }}
{{- end -}}

{{/* Variables of every service: who it is, and what of the environment is a secret. */}}
{{- define "culvert.env" -}}
{{- $values := index .root.Values .component -}}
- name: CULVERT_POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: CULVERT_POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: CULVERT_NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: service.instance.id=$(CULVERT_POD_NAME),k8s.pod.name=$(CULVERT_POD_NAME),k8s.namespace.name=$(CULVERT_POD_NAMESPACE),k8s.node.name=$(CULVERT_NODE_NAME)
{{- with .root.Values.telemetry.otlp }}
{{- if and .endpoint .existingSecret }}
- name: CULVERT_{{ upper $.component }}_TELEMETRY_OTLP_HEADERS_FILE
  value: /run/culvert/secrets/otlp-headers
{{- end }}
{{- end }}
{{- end -}}

{{- define "culvert.extraEnv" -}}
{{- with (index .root.Values .component).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Whatever stands behind env in a container. `ops` is the name of the port with the probes. */}}
{{- define "culvert.containerEnd" -}}
{{- $values := index .root.Values .component -}}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
startupProbe:
  httpGet: { path: /healthz/live, port: ops }
  periodSeconds: 2
  failureThreshold: {{ default 60 .startupPeriods }}
livenessProbe:
  httpGet: { path: /healthz/live, port: ops }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /healthz/ready, port: ops }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 3
{{- if gt (int $values.preStopSeconds) 0 }}
lifecycle:
  preStop:
    sleep: { seconds: {{ $values.preStopSeconds }} }
{{- end }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
volumeMounts:
  - { name: config, mountPath: /etc/culvert, readOnly: true }
  {{- if include "culvert.hasSecrets" . }}
  - { name: secrets, mountPath: /run/culvert/secrets, readOnly: true }
  {{- end }}
  - { name: tmp, mountPath: /tmp }
  {{- with .volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
Volumes of every service. `secrets` are items of the chart's Secret, (dict key of secrets.keys → file); `others` are more sources.
*/}}
{{- define "culvert.volumes" -}}
{{- $root := .root -}}
- name: config
  configMap:
    name: {{ include "culvert.componentName" . }}
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 16Mi }
{{- if include "culvert.hasSecrets" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- if .secrets }}
      - secret:
          name: {{ include "culvert.secretName" $root }}
          items:
            {{- range $key := .secrets }}
            - { key: {{ index $root.Values.secrets.keys $key | quote }}, path: {{ include "culvert.secretFile" $key }} }
            {{- end }}
      {{- end }}
      {{- range .others }}
      - secret:
          {{- toYaml . | nindent 10 }}
      {{- end }}
      {{- with $root.Values.telemetry.otlp }}
      {{- if and .endpoint .existingSecret }}
      - secret:
          name: {{ .existingSecret }}
          items:
            - { key: {{ .headersKey | quote }}, path: otlp-headers }
      {{- end }}
      {{- end }}
{{- end }}
{{- with (index .root.Values .component).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Not empty where a pod has secrets. Services that always have pass none of `secrets` and `others` to what is not about them. */}}
{{- define "culvert.hasSecrets" -}}
{{- $otlp := .root.Values.telemetry.otlp -}}
{{- if or (not (hasKey . "secrets")) .secrets .others (and $otlp.endpoint $otlp.existingSecret) }}true{{ end -}}
{{- end -}}

{{/* adminToken → admin-token: the file in /run/culvert/secrets, whatever the Secret calls it. */}}
{{- define "culvert.secretFile" -}}
{{ kebabcase . }}
{{- end -}}
