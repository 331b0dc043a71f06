{{/* Routes of layer 4 became v1 one after the other. */}}
{{- define "culvert.routeVersion" -}}
{{- $stable := printf "gateway.networking.k8s.io/v1/%s" .kind -}}
gateway.networking.k8s.io/{{ ternary "v1" "v1alpha2" (.root.Capabilities.APIVersions.Has $stable) }}
{{- end -}}

{{- define "culvert.httpRoute" }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "culvert.metadata" . | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml .root.Values.gatewayApi.http | nindent 4 }}
  {{- with .hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - matches:
        - path: { type: PathPrefix, value: {{ .path }} }
      backendRefs:
        - { name: {{ include "culvert.componentName" . }}, port: {{ (index .root.Values .component).service.port }} }
{{- end -}}
