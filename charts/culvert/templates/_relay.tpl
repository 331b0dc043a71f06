{{/* Annotations of a load balancer's Service: (dict "root" $ "address" "203.0.113.5" "relay" "culvert-relay-0"). */}}
{{- define "culvert.balancerAnnotations" -}}
{{- range $key, $value := .root.Values.relay.loadBalancer.annotations }}
{{ $key }}: {{ $value | replace "{address}" (default "" $.address) | replace "{relay}" $.relay | quote }}
{{- end }}
{{- end -}}

{{/* Spec of a load balancer's Service up to its selector. */}}
{{- define "culvert.balancerSpec" -}}
{{- $balancer := .root.Values.relay.loadBalancer -}}
type: LoadBalancer
externalTrafficPolicy: {{ .root.Values.relay.service.externalTrafficPolicy }}
{{- if not $balancer.allocateNodePorts }}
allocateLoadBalancerNodePorts: false
{{- end }}
{{- if gt (len .root.Values.relay.ipFamilies) 1 }}
ipFamilyPolicy: PreferDualStack
{{- end }}
{{- with $balancer.class }}
loadBalancerClass: {{ . }}
{{- end }}
{{- if and .address $balancer.requestAddress }}
loadBalancerIP: {{ .address | quote }}
{{- end }}
{{- with $balancer.sourceRanges }}
loadBalancerSourceRanges: {{ toJson . }}
{{- end }}
{{- end -}}

{{/* Relayed ports as ports of a Service. */}}
{{- define "culvert.relayedPorts" -}}
{{- range $offset := until (int .count) }}
{{- $port := add $.first $offset }}
- { name: relayed-{{ $port }}, port: {{ $port }}, targetPort: {{ $port }}, protocol: UDP }
{{- end }}
{{- end -}}
