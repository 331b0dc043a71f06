{{/* Ports of relays and STUN servers: (dict "listeners" … "name" "turn"). */}}

{{/* Of a Service. "only" is a protocol; "suffix" and "udp"/"tcp" change ports. */}}
{{- define "culvert.listenerPorts" -}}
{{- range $transport := list "udp" "tcp" "tls" }}
{{- $listener := index $.listeners $transport }}
{{- $protocol := ternary "UDP" "TCP" (eq $transport "udp") }}
{{- if and $listener.enabled (or (not $.only) (eq $.only $protocol)) }}
- { name: {{ $.name }}-{{ $transport }}, port: {{ $listener.port }}, targetPort: {{ $.name }}-{{ $transport }}, protocol: {{ $protocol }} }
{{- end }}
{{- end }}
{{- end -}}

{{/* Of a container. */}}
{{- define "culvert.listenerContainerPorts" -}}
{{- range $transport := list "udp" "tcp" "tls" }}
{{- $listener := index $.listeners $transport }}
{{- if $listener.enabled }}
- { name: {{ $.name }}-{{ $transport }}, containerPort: {{ $listener.port }}, protocol: {{ ternary "UDP" "TCP" (eq $transport "udp") }} }
{{- end }}
{{- end }}
{{- end -}}

{{/* Not empty where a listener has a port below 1024. */}}
{{- define "culvert.lowPorts" -}}
{{- range . }}{{ if and .enabled (lt (int .port) 1024) }}true{{ end }}{{ end -}}
{{- end -}}

{{- define "culvert.tlsMount" -}}
- { name: tls, mountPath: /run/culvert/tls, readOnly: true }
{{- end -}}

{{- define "culvert.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ include "culvert.tlsSecret" . }}
    defaultMode: 0440
{{- end -}}
