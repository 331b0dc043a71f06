{{/* The pod's name as the instance: it outlives addresses. */}}
{{- define "culvert.relabelings" -}}
- sourceLabels: [__meta_kubernetes_pod_name]
  targetLabel: instance
- sourceLabels: [__meta_kubernetes_pod_label_app_kubernetes_io_component]
  targetLabel: component
{{- end -}}
