{{/* Parts of NetworkPolicies. */}}

{{/* Ranges that are no peers of a relay: those that it denies by itself (libs/turn/src/peer-policy.ts), less what the values open. */}}
{{- define "culvert.deniedRanges" -}}
ipv4:
  - 0.0.0.0/8
  - 127.0.0.0/8
  - 169.254.0.0/16
  - 192.0.0.0/24
  - 192.0.2.0/24
  - 192.88.99.0/24
  - 198.51.100.0/24
  - 203.0.113.0/24
  - 224.0.0.0/4
  - 240.0.0.0/4
  - 168.63.129.16/32
  - 10.0.0.0/8
  - 100.64.0.0/10
  - 172.16.0.0/12
  - 192.168.0.0/16
  - 198.18.0.0/15
ipv6:
  - "::/96"
  - "::ffff:0:0:0/96"
  - 64:ff9b:1::/48
  - 100::/64
  - 2001::/23
  - 2001:db8::/32
  - 2002::/16
  - 3fff::/20
  - 5f00::/16
  - fe80::/10
  - fec0::/10
  - ff00::/8
  - fc00::/7
{{- end -}}

{{/* Everything but the denied ranges, as peers of a rule. */}}
{{- define "culvert.publicPeers" -}}
{{- $denied := include "culvert.deniedRanges" . | fromYaml -}}
{{- $more := .Values.relay.peers.deny -}}
{{- range $family, $all := dict "ipv4" "0.0.0.0/0" "ipv6" "::/0" }}
{{- $except := index $denied $family }}
{{- range $more }}
{{- if and (eq (contains ":" .) (eq $family "ipv6")) (not (has . $except)) }}
{{- $except = append $except (ternary . (printf "%s/%s" . (ternary "128" "32" (eq $family "ipv6"))) (contains "/" .)) }}
{{- end }}
{{- end }}
- ipBlock:
    cidr: {{ $all | quote }}
    except: {{ toJson $except }}
{{- end }}
{{- end -}}

{{- define "culvert.componentPeer" -}}
- podSelector:
    matchLabels:
      {{- include "culvert.selector" . | nindent 6 }}
{{- end -}}

{{/*
Peers that reach a backend: the components of `from`, and the nodes where some of these have host networking. Empty: everybody.
*/}}
{{- define "culvert.backendFrom" -}}
{{- $peers := list -}}
{{- $nodes := false -}}
{{- range $component := .from -}}
{{- if eq (dig "mode" "" (index $.root.Values $component)) "hostNetwork" -}}
{{- $nodes = true -}}
{{- else -}}
{{- $peers = concat $peers (include "culvert.componentPeer" (dict "root" $.root "component" $component) | fromYamlArray) -}}
{{- end -}}
{{- end -}}
{{- if $nodes -}}
{{- range .root.Values.networkPolicy.nodeCIDRs -}}
{{- $peers = append $peers (dict "ipBlock" (dict "cidr" .)) -}}
{{- end -}}
{{- if not .root.Values.networkPolicy.nodeCIDRs }}{{ $peers = list }}{{ end -}}
{{- end -}}
{{- toYaml $peers -}}
{{- end -}}

{{/* A rule: (dict "way" "from" "peers" (list) "ports" (list (dict "port" … "protocol" …))). No peers: any. */}}
{{- define "culvert.rule" -}}
{{- $rule := dict "ports" .ports -}}
{{- if .peers }}{{ $_ := set $rule .way .peers }}{{ end -}}
{{- toYaml (list $rule) -}}
{{- end -}}

{{/* "host:port", a URL or "[::1]:port" → port, with a default. */}}
{{- define "culvert.portOf" -}}
{{- $port := regexFind ":[0-9]+/?$" .target | trimPrefix ":" | trimSuffix "/" -}}
{{ default .default $port | int }}
{{- end -}}

{{/*
Egress to what a service of the platform uses: (dict "root" $ "uses" (list "dns" "redis" "nats" "keyFeed" "collector")), a list of rules.
*/}}
{{- define "culvert.egressTo" -}}
{{- $root := .root -}}
{{- $policy := $root.Values.networkPolicy -}}
{{- $rules := list -}}
{{- if has "dns" .uses -}}
{{- $rules = append $rules (dict "to" $policy.dns "ports" (list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP"))) -}}
{{- end -}}
{{- range $name, $default := dict "redis" 6379 "nats" 4222 -}}
{{- if has $name $.uses -}}
{{- $server := index $root.Values $name -}}
{{- if $server.enabled -}}
{{- $peers := include "culvert.componentPeer" (dict "root" $root "component" $name) | fromYamlArray -}}
{{- $rules = append $rules (dict "to" $peers "ports" (list (dict "port" $default "protocol" "TCP"))) -}}
{{- else -}}
{{- $ports := list -}}
{{- range $target := compact (concat (list (default "" $server.external.url)) (default (list) $server.external.cluster) (default (list) $server.external.servers)) -}}
{{- $ports = append $ports (int (include "culvert.portOf" (dict "target" $target "default" $default))) -}}
{{- end -}}
{{- range $target := default (list) $server.external.sentinels -}}
{{- $ports = concat $ports (list 6379 (int (include "culvert.portOf" (dict "target" $target "default" 26379)))) -}}
{{- end -}}
{{- $list := list -}}
{{- range uniq $ports }}{{ $list = append $list (dict "port" . "protocol" "TCP") }}{{ end -}}
{{- if $list -}}
{{- $rules = concat $rules (include "culvert.rule" (dict "way" "to" "peers" $policy.backends "ports" $list) | fromYamlArray) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if has "keyFeed" .uses -}}
{{- $peers := include "culvert.componentPeer" (dict "root" $root "component" "credential") | fromYamlArray -}}
{{- $rules = append $rules (dict "to" $peers "ports" (list (dict "port" $root.Values.credential.keyFeed.port "protocol" "TCP"))) -}}
{{- end -}}
{{- $endpoint := $root.Values.telemetry.otlp.endpoint -}}
{{- if and $endpoint (has "collector" .uses) -}}
{{- $port := int (include "culvert.portOf" (dict "target" $endpoint "default" (ternary 443 80 (hasPrefix "https:" $endpoint)))) -}}
{{- $rules = concat $rules (include "culvert.rule" (dict "way" "to" "peers" $policy.backends "ports" (list (dict "port" $port "protocol" "TCP"))) | fromYamlArray) -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/* Prometheus and the like: the port with /metrics. */}}
{{- define "culvert.metricsRule" -}}
{{- $from := default (list (dict "namespaceSelector" (dict))) .root.Values.networkPolicy.metricsFrom -}}
{{- include "culvert.rule" (dict "way" "from" "peers" $from "ports" (list (dict "port" "ops" "protocol" "TCP"))) -}}
{{- end -}}

{{/* A policy: (dict "root" $ "component" … "ingress" (list) "egress" (list)). */}}
{{- define "culvert.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "culvert.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "culvert.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress }}
  ingress:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .egress }}
  egress:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
