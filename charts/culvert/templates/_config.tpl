{{/*
The configuration of each service, as docs/guides/configuration.md has it. What is a secret, and what differs from pod to pod, comes by
variables. `config` of the values lies above.
*/}}

{{- define "culvert.configYaml" -}}
{{ toYaml (dict .component (mergeOverwrite (deepCopy .own) (deepCopy (index .root.Values .component).config))) }}
{{- end -}}

{{/* Keys that all services have. */}}
{{- define "culvert.commonConfig" -}}
logLevel: {{ .root.Values.logLevel }}
ops:
  host: {{ .root.Values.listenAddress | quote }}
  port: {{ include "culvert.opsPort" . }}
{{- with .root.Values.telemetry }}
{{- if .otlp.endpoint }}
telemetry:
  otlp:
    endpoint: {{ .otlp.endpoint }}
    protocol: {{ .otlp.protocol }}
  traces:
    {{- toYaml .traces | nindent 4 }}
  metrics:
    {{- toYaml .metrics | nindent 4 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "culvert.opsPort" -}}
{{ dig "opsPort" (get (dict "credential" 9103 "signaling" 9104) .component) (index .root.Values .component) | int }}
{{- end -}}

{{- define "culvert.redisConfig" -}}
{{- if .Values.redis.enabled -}}
url: redis://{{ include "culvert.fullname" . }}-redis.{{ .Release.Namespace }}.svc:6379
{{- else -}}
{{- with .Values.redis.external -}}
{{- if .url }}
url: {{ .url }}
{{- else if .sentinels }}
sentinels: {{ toJson .sentinels }}
master: {{ .master }}
{{- else }}
cluster: {{ toJson .cluster }}
{{- end }}
{{- with .username }}
username: {{ . | quote }}
{{- end }}
{{- with .sentinelUsername }}
sentinelUsername: {{ . | quote }}
{{- end }}
database: {{ .database }}
prefix: {{ .prefix }}
{{- if .tls.enabled }}
tls:
  {{- include "culvert.clientTls" (dict "tls" .tls "name" "redis") | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Empty: no NATS. */}}
{{- define "culvert.natsConfig" -}}
{{- if .Values.nats.enabled -}}
servers: ["{{ include "culvert.fullname" . }}-nats.{{ .Release.Namespace }}.svc:4222"]
{{- else if .Values.nats.external.servers -}}
{{- with .Values.nats.external -}}
servers: {{ toJson .servers }}
{{- with .user }}
user: {{ . | quote }}
{{- end }}
{{- if .credentialsKey }}
credentials: /run/culvert/secrets/nats.creds
{{- end }}
{{- if .tls.enabled }}
tls:
  {{- include "culvert.clientTls" (dict "tls" .tls "name" "nats") | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "culvert.clientTls" -}}
{{- if .tls.existingSecret -}}
ca: /run/culvert/secrets/{{ .name }}-ca.crt
{{- if .tls.clientCertificate }}
cert: /run/culvert/secrets/{{ .name }}-tls.crt
key: /run/culvert/secrets/{{ .name }}-tls.key
{{- end -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* How relays and signaling follow the key feed. */}}
{{- define "culvert.keyFeedConfig" -}}
target: {{ include "culvert.keyFeedTarget" . }}
{{- if .Values.credential.keyFeed.tls.existingSecret }}
tls: { ca: /run/culvert/secrets/key-feed-ca.crt }
{{- end }}
{{- end -}}

{{/* UDP, TCP and TLS listeners of relay or stun: (dict "listeners" … "ips" (list) "frontend" ""). */}}
{{- define "culvert.listeners" -}}
{{- range $transport := list "udp" "tcp" "tls" }}
{{- $listener := index $.listeners $transport }}
{{- if $listener.enabled }}
{{- range $ip := $.ips }}
- transport: {{ $transport }}
  ip: {{ $ip | quote }}
  port: {{ $listener.port }}
  {{- with $.frontend }}
  frontend: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "culvert.listenerIps" -}}
{{- range .Values.relay.ipFamilies }}
- {{ get (dict "IPv4" "0.0.0.0" "IPv6" "::") . | quote }}
{{- end }}
{{- end -}}

{{/* The URIs that the API hands out. */}}
{{- define "culvert.uris" -}}
{{- if .Values.uris -}}
{{- toYaml .Values.uris -}}
{{- else -}}
{{- $host := include "culvert.uriHost" (include "culvert.turnHost" .) -}}
{{- $listeners := .Values.relay.listeners -}}
{{- if .Values.stun.publicHost }}
- stun:{{ include "culvert.uriHost" .Values.stun.publicHost }}:{{ .Values.stun.listeners.udp.port }}
{{- else if $listeners.udp.enabled }}
- stun:{{ $host }}:{{ $listeners.udp.port }}
{{- end }}
{{- range $transport := list "udp" "tcp" }}
{{- $listener := index $listeners $transport }}
{{- if $listener.enabled }}
- turn:{{ $host }}:{{ $listener.port }}?transport={{ $transport }}
{{- end }}
{{- end }}
{{- if $listeners.tls.enabled }}
- turns:{{ $host }}:{{ $listeners.tls.port }}?transport=tcp
{{- end }}
{{- end -}}
{{- end -}}

{{- define "culvert.uriHost" -}}
{{ ternary (printf "[%s]" .) . (contains ":" .) }}
{{- end -}}

{{/* Where clients find the relays: publicHost, or the one address that there is. */}}
{{- define "culvert.turnHost" -}}
{{- with .Values.relay.loadBalancer -}}
{{- if and (not $.Values.publicHost) (eq $.Values.relay.mode "loadBalancer") (eq (len .addresses) 1) -}}
{{ first .addresses }}
{{- else -}}
{{ include "culvert.publicHost" $ }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "culvert.credentialConfig" -}}
{{- $own := include "culvert.commonConfig" . | fromYaml -}}
{{- $values := .root.Values -}}
{{- /* Applications keep connections open; what they send on one while the pod goes is answered. */ -}}
{{- $_ := set $own "http" (dict "host" $values.listenAddress "port" $values.credential.service.port "drain" 2) -}}
{{- $grpc := dict "host" $values.listenAddress "port" $values.credential.keyFeed.port -}}
{{- if $values.credential.keyFeed.tls.existingSecret -}}
{{- $_ := set $grpc "tls" (dict "cert" "/run/culvert/secrets/key-feed-tls.crt" "key" "/run/culvert/secrets/key-feed-tls.key") -}}
{{- end -}}
{{- $_ := set $own "grpc" $grpc -}}
{{- $_ := set $own "uris" (include "culvert.uris" .root | fromYamlArray) -}}
{{- $_ := set $own "redis" (include "culvert.redisConfig" .root | fromYaml) -}}
{{- with include "culvert.natsConfig" .root | fromYaml }}{{ $_ := set $own "nats" . }}{{ end -}}
{{- include "culvert.configYaml" (dict "root" .root "component" .component "own" $own) -}}
{{- end -}}

{{- define "culvert.signalingConfig" -}}
{{- $own := include "culvert.commonConfig" . | fromYaml -}}
{{- $values := .root.Values -}}
{{- $_ := set $own "listen" (dict "host" $values.listenAddress "port" $values.signaling.service.port) -}}
{{- $_ := set $own "credential" (include "culvert.keyFeedConfig" .root | fromYaml) -}}
{{- $_ := set $own "drain" (dict "timeout" $values.signaling.drain.timeout) -}}
{{- with include "culvert.natsConfig" .root | fromYaml }}{{ $_ := set $own "nats" . }}{{ end -}}
{{- include "culvert.configYaml" (dict "root" .root "component" .component "own" $own) -}}
{{- end -}}

{{/* `index` is the pod's number, where each has a configuration of its own. */}}
{{- define "culvert.stunConfig" -}}
{{- $own := include "culvert.commonConfig" . | fromYaml -}}
{{- $stun := .root.Values.stun -}}
{{- if not $stun.behaviourDiscovery.enabled -}}
{{- $_ := set $own "listeners" (include "culvert.listeners" (dict "listeners" $stun.listeners "ips" (list .root.Values.listenAddress)) | fromYamlArray) -}}
{{- else -}}
{{- $name := include "culvert.componentName" . -}}
{{- $other := ternary (add .index 1) (sub .index 1) (eq (mod .index 2) 0) -}}
{{- $port := $stun.behaviourDiscovery.partnerPort -}}
{{- $target := printf "%s-%d.%s-headless.%s.svc:%d" $name $other $name .root.Release.Namespace (int $port) -}}
{{- $_ := set $own "alternate" (dict "port" $stun.behaviourDiscovery.port) -}}
{{- $_ := set $own "partner" (dict "target" $target "listen" (dict "ip" .root.Values.listenAddress "port" $port)) -}}
{{- end -}}
{{- if and $stun.listeners.tls.enabled (include "culvert.tlsSecret" .root) -}}
{{- $_ := set $own "tls" (dict "cert" "/run/culvert/tls/tls.crt" "key" "/run/culvert/tls/tls.key") -}}
{{- end -}}
{{- include "culvert.configYaml" (dict "root" .root "component" .component "own" $own) -}}
{{- end -}}

{{/* `index` is the relay's number, where each has a configuration of its own. */}}
{{- define "culvert.relayConfig" -}}
{{- $own := include "culvert.commonConfig" . | fromYaml -}}
{{- $root := .root -}}
{{- $relay := $root.Values.relay -}}
{{- $balanced := eq $relay.mode "loadBalancer" -}}
{{- $shared := and $balanced (eq $relay.loadBalancer.addressing "shared") -}}
{{- $frontend := ternary (include "culvert.fullname" $root) "" $shared -}}
{{- $ips := include "culvert.listenerIps" $root | fromYamlArray -}}
{{- $_ := set $own "realm" $relay.realm -}}
{{- $_ := set $own "listeners" (include "culvert.listeners" (dict "listeners" $relay.listeners "ips" $ips "frontend" $frontend) | fromYamlArray) -}}
{{- if and $relay.listeners.tls.enabled (include "culvert.tlsSecret" $root) -}}
{{- $_ := set $own "tls" (dict "cert" "/run/culvert/tls/tls.crt" "key" "/run/culvert/tls/tls.key") -}}
{{- end -}}
{{- $_ := set $own "externalAddress" (include "culvert.externalAddress" . | fromYaml) -}}
{{- $_ := set $own "ports" (include "culvert.relayPorts" . | fromYaml) -}}
{{- $_ := set $own "lifetime" $relay.lifetime -}}
{{- $_ := set $own "credential" (include "culvert.keyFeedConfig" $root | fromYaml) -}}
{{- $_ := set $own "peers" $relay.peers -}}
{{- $quotas := dict -}}
{{- range $key, $value := $relay.quotas }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $quotas $key $value }}{{ end }}{{ end -}}
{{- $_ := set $own "quotas" $quotas -}}
{{- $_ := set $own "drain" (dict "timeout" (int64 (include "culvert.relayDrain" $root))) -}}
{{- $fleet := dict "redis" (include "culvert.redisConfig" $root | fromYaml) "mesh" (dict "port" $relay.meshPort) -}}
{{- with include "culvert.natsConfig" $root | fromYaml }}{{ $_ := set $fleet "nats" . }}{{ end -}}
{{- if $shared -}}
{{- $advertised := dict "ip" (first $relay.loadBalancer.addresses) "port" (add $relay.loadBalancer.alternatePort .index) -}}
{{- $_ := set $fleet "advertise" (list $advertised) -}}
{{- end -}}
{{- $_ := set $own "fleet" $fleet -}}
{{- if $relay.admin.enabled -}}
{{- $_ := set $own "grpc" (dict "host" $root.Values.listenAddress "port" $relay.admin.port) -}}
{{- end -}}
{{- include "culvert.configYaml" (dict "root" $root "component" .component "own" $own) -}}
{{- end -}}

{{- define "culvert.externalAddress" -}}
{{- $relay := .root.Values.relay -}}
{{- $balancer := $relay.loadBalancer -}}
{{- with $relay.externalAddress -}}
allowPrivate: {{ ternary $.root.Values.redis.enabled .allowPrivate (kindIs "invalid" .allowPrivate) }}
wait: {{ .wait }}
{{- $explicit := compact (list .ipv4 .ipv6) }}
{{- if eq $relay.mode "loadBalancer" }}
{{- if eq $balancer.addressing "shared" }}
{{- $explicit = $balancer.addresses }}
{{- else if $balancer.addresses }}
{{- $explicit = list (index $balancer.addresses $.index) }}
{{- end }}
{{- end }}
{{- range $explicit }}
{{ ternary "ipv6" "ipv4" (contains ":" .) }}: {{ . | quote }}
{{- end }}
{{- if eq $relay.mode "hostNetwork" }}
{{- if and .node.enabled (not $explicit) }}
node: { annotation: {{ .node.annotation | quote }} }
{{- end }}
{{- with .stun }}
{{- if .servers }}
stun: { servers: {{ toJson .servers }}, interval: {{ .interval }} }
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Relayed ports: of all relays, or of one where "index" says which: (dict "root" $ "index" 0). */}}
{{- define "culvert.relayPorts" -}}
{{- $relay := .root.Values.relay -}}
{{- $balancer := $relay.loadBalancer -}}
{{- $size := int $balancer.portsPerRelay -}}
{{- if eq $relay.mode "hostNetwork" -}}
{{ toYaml $relay.ports }}
{{- else -}}
{{- $shared := eq $balancer.addressing "shared" -}}
{{- $one := or (not $shared) (hasKey . "index") -}}
{{- $first := add $balancer.firstPort (ternary (mul $size (default 0 .index)) 0 $shared) -}}
min: {{ $first }}
max: {{ sub (add $first (ternary $size (mul $size (int (include "culvert.maxRelays" .root))) $one)) 1 }}
{{- end -}}
{{- end -}}

{{/* Whether relays look their address up in the Kubernetes API: "node", "service" or nothing. */}}
{{- define "culvert.relayLookup" -}}
{{- $relay := .Values.relay -}}
{{- with $relay.externalAddress -}}
{{- if eq $relay.mode "loadBalancer" -}}
{{ if not $relay.loadBalancer.addresses }}service{{ end }}
{{- else if and .node.enabled (not .ipv4) (not .ipv6) -}}
node
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether each relay has a configuration of its own, with its address and its ports. */}}
{{- define "culvert.relayConfigPerPod" -}}
{{- $relay := .Values.relay -}}
{{- if and (eq $relay.mode "loadBalancer") $relay.loadBalancer.addresses }}true{{ end -}}
{{- end -}}
