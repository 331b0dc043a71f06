{{/*
What a relay cannot take over while it runs (services/relay/src/live-config.ts says what it can). A change of the rest is read from the
ConfigMap as it is, without new pods and so without a drain. Secrets and certificates are never in it.
*/}}
{{- define "culvert.relayFixedConfig" -}}
{{- $config := (include "culvert.relayConfig" (dict "root" . "component" "relay" "index" 0) | fromYaml).relay -}}
{{- $fixed := omit $config "software" "lifetime" "rfc5766Channels" "peers" "quotas" "limits" "drain" "externalAddress" "logLevel" -}}
{{- $_ := set $fixed "fleet" (omit $config.fleet "onStateLoss") -}}
{{- toYaml $fixed -}}
{{- end -}}

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
