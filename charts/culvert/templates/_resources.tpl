{{/* Whole resources that several services have. Each takes (dict "root" $ "component" "credential" …). */}}

{{- define "culvert.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "culvert.serviceAccountName" . }}
  {{- include "culvert.metadataRest" (dict "root" .root "component" .component "annotations" $account.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end }}
{{- end -}}

{{/* Metadata without the name. */}}
{{- define "culvert.metadataRest" -}}
{{- omit (include "culvert.metadata" . | fromYaml) "name" | toYaml -}}
{{- end -}}

{{- define "culvert.pdb" -}}
{{- $pdb := (index .root.Values .component).pdb -}}
{{- if $pdb.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "culvert.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  maxUnavailable: {{ $pdb.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "culvert.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* An HPA on CPU for a Deployment. */}}
{{- define "culvert.cpuAutoscaler" -}}
{{- $scaling := (index .root.Values .component).autoscaling -}}
{{- if $scaling.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "culvert.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "culvert.componentName" . }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: {{ $scaling.cpuPercent }} }
{{- end }}
{{- end -}}

{{/* An Ingress: "port" is the name of the Service's port. */}}
{{- define "culvert.ingress" -}}
{{- $ingress := (index .root.Values .component).ingress -}}
{{- if $ingress.enabled }}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "culvert.metadata" (dict "root" .root "component" .component "annotations" $ingress.annotations) | nindent 2 }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with $ingress.tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range $ingress.hosts }}
    - host: {{ .host | quote }}
      http:
        paths:
          {{- range (default (list (dict "path" $.path)) .paths) }}
          - path: {{ .path }}
            pathType: {{ default "Prefix" .pathType }}
            backend:
              service:
                name: {{ include "culvert.componentName" $ }}
                port: { name: {{ $.port }} }
          {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* The public Service of a Deployment, one HTTP port. */}}
{{- define "culvert.httpService" -}}
{{- $service := (index .root.Values .component).service -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "culvert.metadata" (dict "root" .root "component" .component "annotations" $service.annotations) | nindent 2 }}
spec:
  type: {{ $service.type }}
  selector:
    {{- include "culvert.selector" . | nindent 4 }}
  ports:
    - { name: http, port: {{ $service.port }}, targetPort: http, protocol: TCP, appProtocol: {{ default "http" .appProtocol }} }
{{- end -}}

{{/*
Annotations of pods: (dict "root" $ "component" "relay" "config" …). The checksum is of what the service cannot take over while it runs
(docs/guides/configuration.md says what it can). A change of the rest is read from the ConfigMap as it is, without new pods and so
without a drain. Secrets and certificates are never in it.
*/}}
{{- define "culvert.podAnnotations" -}}
checksum/config: {{ include "culvert.fixedConfig" . | sha256sum }}
{{- with (index .root.Values .component).podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "culvert.fixedConfig" -}}
{{- $config := index (.config | fromYaml) .component -}}
{{- $fixed := omit $config "logLevel" -}}
{{- if eq .component "signaling" -}}
{{- $fixed = omit $fixed "drain" -}}
{{- else if eq .component "relay" -}}
{{- $fixed = omit $fixed "software" "lifetime" "rfc5766Channels" "peers" "quotas" "limits" "drain" "externalAddress" -}}
{{- $_ := set $fixed "fleet" (omit $config.fleet "onStateLoss") -}}
{{- end -}}
{{- toYaml $fixed -}}
{{- end -}}

{{/* Without the versions: pods are not replaced, and relays not drained, for a chart that changed nothing of them. */}}
{{- define "culvert.podLabels" -}}
{{ include "culvert.selector" . }}
app.kubernetes.io/part-of: culvert
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with (index .root.Values .component).podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
