{{/* The relay's NetworkPolicy, on the pod network: clients and peers come from anywhere, and it reaches what may be a peer. */}}
{{- define "culvert.relayPolicy" -}}
{{- $relay := .Values.relay -}}
{{- $policy := .Values.networkPolicy -}}
{{- $relays := include "culvert.componentPeer" (dict "root" . "component" "relay") | fromYamlArray -}}
{{- $mesh := list (dict "port" $relay.meshPort "protocol" "UDP") -}}
{{- $clients := list -}}
{{- range $transport, $listener := $relay.listeners -}}
{{- if $listener.enabled }}{{ $clients = append $clients (dict "port" $listener.port "protocol" (ternary "UDP" "TCP" (eq $transport "udp"))) }}{{ end -}}
{{- end -}}
{{- $ports := include "culvert.relayPorts" (dict "root" .) | fromYaml -}}
{{- $relayed := list (dict "port" $ports.min "endPort" $ports.max "protocol" "UDP") -}}
{{- $ingress := list (dict "ports" (concat $clients $relayed)) (dict "from" $relays "ports" $mesh) -}}
{{- if $relay.admin.enabled -}}
{{- $operators := concat (list (dict "podSelector" (dict "matchLabels" (include "culvert.releaseSelector" . | fromYaml)))) $policy.adminFrom -}}
{{- $ingress = append $ingress (dict "from" $operators "ports" (list (dict "port" $relay.admin.port "protocol" "TCP"))) -}}
{{- end -}}
{{- $ingress = concat $ingress (include "culvert.metricsRule" (dict "root" .) | fromYamlArray) -}}
{{- $egress := include "culvert.egressTo" (dict "root" . "uses" (list "dns" "redis" "nats" "keyFeed" "collector")) | fromYamlArray -}}
{{- $egress = append $egress (dict "to" $relays "ports" (concat $mesh $relayed)) -}}
{{- if include "culvert.relayLookup" . -}}
{{- $api := list -}}
{{- range $policy.apiServerCIDRs }}{{ $api = append $api (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- $tcp := list (dict "port" 443 "protocol" "TCP") (dict "port" 6443 "protocol" "TCP") -}}
{{- $egress = concat $egress (include "culvert.rule" (dict "way" "to" "peers" $api "ports" $tcp) | fromYamlArray) -}}
{{- end -}}
{{- $peers := include "culvert.publicPeers" . | fromYamlArray -}}
{{- range $relay.peers.allow -}}
{{- $host := ternary "128" "32" (contains ":" .) -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" (ternary . (printf "%s/%s" . $host) (contains "/" .)))) -}}
{{- end -}}
{{- range $relay.loadBalancer.addresses -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" (printf "%s/%s" . (ternary "128" "32" (contains ":" .))))) -}}
{{- end -}}
{{- $udp := list (dict "port" 1 "endPort" 65535 "protocol" "UDP") -}}
{{- $egress = append $egress (dict "to" $peers "ports" $udp) -}}
{{ include "culvert.policy" (dict "root" . "component" "relay" "ingress" $ingress "egress" $egress) }}
{{- end -}}
