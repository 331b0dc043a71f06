{{/* Names, labels, the image. Every helper of a service takes (dict "root" $ "component" "relay"). */}}

{{- define "culvert.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "culvert.componentName" -}}
{{ include "culvert.fullname" .root }}-{{ .component }}
{{- end -}}

{{/* Labels that select the pods of a component. They never change. */}}
{{- define "culvert.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels that select all pods of the release. */}}
{{- define "culvert.releaseSelector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "culvert.labels" -}}
{{ include "culvert.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: culvert
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The metadata of a resource but its name's suffix: (dict "root" $ "component" "relay" "suffix" "headless" "annotations" (dict)).
*/}}
{{- define "culvert.metadata" -}}
name: {{ include "culvert.componentName" . }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ default .root.Release.Namespace .namespace }}
labels:
  {{- include "culvert.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* name:tag or name@digest of (dict "repository" … "tag" … "digest" …). */}}
{{- define "culvert.imageName" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end -}}

{{- define "culvert.image" -}}
{{ include "culvert.imageName" (dict "repository" .Values.image.repository "tag" (default .Chart.AppVersion .Values.image.tag) "digest" .Values.image.digest) }}
{{- end -}}

{{- define "culvert.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
{{ default (include "culvert.componentName" .) $account.name }}
{{- else -}}
{{ default "default" $account.name }}
{{- end -}}
{{- end -}}

{{/* Where the parts of the release find each other. */}}
{{- define "culvert.keyFeedTarget" -}}
{{ include "culvert.fullname" . }}-credential-internal.{{ .Release.Namespace }}.svc:{{ .Values.credential.keyFeed.port }}
{{- end -}}

{{- define "culvert.apiUrl" -}}
http://{{ include "culvert.fullname" . }}-credential.{{ .Release.Namespace }}.svc:{{ .Values.credential.service.port }}
{{- end -}}

{{- define "culvert.relayHost" -}}
{{ include "culvert.fullname" . }}-relay.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "culvert.publicHost" -}}
{{ default (include "culvert.relayHost" .) .Values.publicHost }}
{{- end -}}

{{/* The most relays that there may be. */}}
{{- define "culvert.maxRelays" -}}
{{- with .Values.relay -}}
{{ ternary (max .replicas .autoscaling.maxReplicas) .replicas (or .autoscaling.enabled .autoscaling.keda.enabled) | int }}
{{- end -}}
{{- end -}}

{{/* The Secret with the public certificate; empty where there is none. */}}
{{- define "culvert.tlsSecret" -}}
{{- if .Values.tls.existingSecret -}}
{{ .Values.tls.existingSecret }}
{{- else if .Values.tls.certManager.enabled -}}
{{ include "culvert.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{- define "culvert.secretName" -}}
{{ default (printf "%s-secrets" (include "culvert.fullname" .)) .Values.secrets.existingSecret }}
{{- end -}}

{{/* Seconds that a relay drains. */}}
{{- define "culvert.relayDrain" -}}
{{- $relay := .Values.relay -}}
{{ ternary $relay.lifetime.max $relay.drain.timeout (kindIs "invalid" $relay.drain.timeout) | int64 }}
{{- end -}}

{{- define "culvert.relayGrace" -}}
{{- $relay := .Values.relay -}}
{{- $needed := add $relay.preStopSeconds (int64 (include "culvert.relayDrain" .)) 30 -}}
{{ ternary $needed $relay.terminationGracePeriodSeconds (kindIs "invalid" $relay.terminationGracePeriodSeconds) | int64 }}
{{- end -}}

{{- define "culvert.signalingGrace" -}}
{{- $signaling := .Values.signaling -}}
{{- $needed := add $signaling.preStopSeconds $signaling.drain.timeout 15 -}}
{{ ternary $needed $signaling.terminationGracePeriodSeconds (kindIs "invalid" $signaling.terminationGracePeriodSeconds) | int64 }}
{{- end -}}
