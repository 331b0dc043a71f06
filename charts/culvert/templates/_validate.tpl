{{/*
What a JSON schema cannot say: values that go together with others. Each refusal is one line with the key, the value and what would be
right.
*/}}

{{- define "culvert.validate" -}}
{{- $values := .Values -}}
{{- $relay := $values.relay -}}
{{- $balancer := $relay.loadBalancer -}}
{{- $relays := int (include "culvert.maxRelays" .) -}}

{{- with $values.redis -}}
{{- $ways := compact (list .external.url (join "," .external.sentinels) (join "," .external.cluster)) -}}
{{- if and .enabled $ways -}}
{{- fail (printf "redis.enabled: true: must be false with redis.external (%s)" (first $ways)) -}}
{{- end -}}
{{- if and (not .enabled) (ne (len $ways) 1) -}}
{{- fail (printf "redis.external: %d of url, sentinels and cluster are set: must be one, or redis.enabled" (len $ways)) -}}
{{- end -}}
{{- if and .external.sentinels (not .external.master) -}}
{{- fail "redis.external.master: missing: must be the name by which the Sentinels know the master" -}}
{{- end -}}
{{- end -}}

{{- with $values.nats -}}
{{- if and .enabled .external.servers -}}
{{- fail (printf "nats.enabled: true: must be false with nats.external.servers (%s)" (join "," .external.servers)) -}}
{{- end -}}
{{- $ways := compact (list .external.user .external.tokenKey .external.credentialsKey) -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "nats.external: %s: must be one of user, tokenKey and credentialsKey" (join ", " $ways)) -}}
{{- end -}}
{{- if and $ways (not .external.existingSecret) -}}
{{- fail (printf "nats.external.existingSecret: missing: must name the Secret for %s" (first $ways)) -}}
{{- end -}}
{{- if and .external.existingSecret (not $ways) -}}
{{- fail (printf "nats.external.existingSecret: %s: needs one of user, tokenKey and credentialsKey" .external.existingSecret) -}}
{{- end -}}
{{- end -}}
{{- if and $values.signaling.enabled (not $values.nats.enabled) (not $values.nats.external.servers) -}}
{{- if or (gt (int $values.signaling.replicas) 1) $values.signaling.autoscaling.enabled -}}
{{- fail (printf "signaling.replicas: %d: must be 1 without NATS, which joins the replicas" (int $values.signaling.replicas)) -}}
{{- end -}}
{{- end -}}

{{- with $values.tls -}}
{{- if and .existingSecret .certManager.enabled -}}
{{- fail (printf "tls.existingSecret: %s: must be empty with tls.certManager.enabled" .existingSecret) -}}
{{- end -}}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name: missing: must name an issuer of cert-manager" -}}
{{- end -}}
{{- if and .certManager.enabled (not .certManager.dnsNames) (not $values.publicHost) -}}
{{- fail "tls.certManager.dnsNames: missing: must be there, or publicHost" -}}
{{- end -}}
{{- end -}}
{{- range $name := list "relay" "stun" -}}
{{- $service := index $values $name -}}
{{- if and $service.listeners.tls.enabled (not (include "culvert.tlsSecret" $)) -}}
{{- fail (printf "%s.listeners.tls.enabled: true: needs tls.existingSecret or tls.certManager.enabled" $name) -}}
{{- end -}}
{{- if not (or $service.listeners.udp.enabled $service.listeners.tcp.enabled $service.listeners.tls.enabled) -}}
{{- fail (printf "%s.listeners: one of udp, tcp and tls must be enabled" $name) -}}
{{- end -}}
{{- end -}}

{{- if eq $relay.mode "loadBalancer" -}}
{{- $last := add $balancer.firstPort (mul $balancer.portsPerRelay (ternary $relays 1 (eq $balancer.addressing "shared"))) -1 -}}
{{- if gt (int $last) 65535 -}}
{{- fail (printf "relay.loadBalancer.firstPort: %d: must leave room for %d ports of %d relays below 65536 (the last would be %d)" (int $balancer.firstPort) (int $balancer.portsPerRelay) $relays (int $last)) -}}
{{- end -}}
{{- range $transport, $listener := $relay.listeners -}}
{{- if and $listener.enabled (ge (int $listener.port) (int $balancer.firstPort)) (le (int $listener.port) (int $last)) -}}
{{- fail (printf "relay.listeners.%s.port: %d: must be outside of the relayed ports (%d to %d)" $transport (int $listener.port) (int $balancer.firstPort) (int $last)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $balancer.addressing "shared") (ne (len $balancer.addresses) 1) -}}
{{- fail (printf "relay.loadBalancer.addresses: %d addresses: must be one with addressing shared" (len $balancer.addresses)) -}}
{{- end -}}
{{- if and (eq $balancer.addressing "perRelay") $balancer.addresses (lt (len $balancer.addresses) $relays) -}}
{{- fail (printf "relay.loadBalancer.addresses: %d addresses: must be %d, one for each relay that there may be, or none" (len $balancer.addresses) $relays) -}}
{{- end -}}
{{- range $index, $address := $balancer.addresses -}}
{{- $family := ternary "IPv6" "IPv4" (contains ":" $address) -}}
{{- if ne (join "," $relay.ipFamilies) $family -}}
{{- fail (printf "relay.loadBalancer.addresses[%d]: %s: must be of the one family of relay.ipFamilies (%s)" $index $address (join ", " $relay.ipFamilies)) -}}
{{- end -}}
{{- end -}}
{{- if $relay.externalAddress.stun.servers -}}
{{- fail "relay.externalAddress.stun.servers: must be empty in mode loadBalancer: STUN sees where packets leave, not where a load balancer's come in" -}}
{{- end -}}
{{- else -}}
{{- range $transport, $listener := $relay.listeners -}}
{{- if and $listener.enabled (ge (int $listener.port) (int $relay.ports.min)) (le (int $listener.port) (int $relay.ports.max)) -}}
{{- fail (printf "relay.listeners.%s.port: %d: must be outside of relay.ports (%d to %d)" $transport (int $listener.port) (int $relay.ports.min) (int $relay.ports.max)) -}}
{{- end -}}
{{- end -}}
{{- if gt (int $relay.ports.min) (int $relay.ports.max) -}}
{{- fail (printf "relay.ports.min: %d: must not exceed relay.ports.max (%d)" (int $relay.ports.min) (int $relay.ports.max)) -}}
{{- end -}}
{{- $explicit := compact (list $relay.externalAddress.ipv4 $relay.externalAddress.ipv6) -}}
{{- if and $explicit (gt $relays 1) -}}
{{- fail (printf "relay.externalAddress: %s: must be empty with %d relays in mode hostNetwork, each of which has an address of its own" (first $explicit) $relays) -}}
{{- end -}}
{{- end -}}

{{- if gt (int $relay.lifetime.default) (int $relay.lifetime.max) -}}
{{- fail (printf "relay.lifetime.default: %d: must not exceed relay.lifetime.max (%d)" (int $relay.lifetime.default) (int $relay.lifetime.max)) -}}
{{- end -}}
{{- $needed := add $relay.preStopSeconds (int64 (include "culvert.relayDrain" .)) 15 -}}
{{- if lt (int64 (include "culvert.relayGrace" .)) $needed -}}
{{- fail (printf "relay.terminationGracePeriodSeconds: %d: must be %d or more: preStopSeconds, drain.timeout and 15" (int $relay.terminationGracePeriodSeconds) (int $needed)) -}}
{{- end -}}
{{- $needed = add $values.signaling.preStopSeconds $values.signaling.drain.timeout 5 -}}
{{- if lt (int64 (include "culvert.signalingGrace" .)) $needed -}}
{{- fail (printf "signaling.terminationGracePeriodSeconds: %d: must be %d or more: preStopSeconds, drain.timeout and 5" (int $values.signaling.terminationGracePeriodSeconds) (int $needed)) -}}
{{- end -}}

{{- with $relay.autoscaling -}}
{{- if and .enabled .keda.enabled -}}
{{- fail "relay.autoscaling.enabled: true: must be false with relay.autoscaling.keda.enabled, which makes an HPA of its own" -}}
{{- end -}}
{{- if and .keda.enabled (not .keda.serverAddress) -}}
{{- fail "relay.autoscaling.keda.serverAddress: missing: must be the URL of a Prometheus" -}}
{{- end -}}
{{- if and .enabled (not .cpuPercent) (not .allocationsPercent) -}}
{{- fail "relay.autoscaling.cpuPercent: 0: must be more, or relay.autoscaling.allocationsPercent" -}}
{{- end -}}
{{- end -}}
{{- range $name := list "credential" "signaling" "relay" -}}
{{- with (index $values $name).autoscaling -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "%s.autoscaling.minReplicas: %d: must not exceed maxReplicas (%d)" $name (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "credential" "signaling" -}}
{{- with (index $values $name).ingress -}}
{{- if and .enabled (not .hosts) -}}
{{- fail (printf "%s.ingress.hosts: missing: must name at least one host" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- if and $values.stun.enabled $values.stun.behaviourDiscovery.enabled -}}
{{- if ne (mod $values.stun.replicas 2) 0 -}}
{{- fail (printf "stun.replicas: %d: must be even with stun.behaviourDiscovery.enabled: pods work in pairs" (int $values.stun.replicas)) -}}
{{- end -}}
{{- end -}}

{{- include "culvert.validatePorts" . -}}
{{- end -}}

{{/* Ports of one node: those of relays and STUN servers with host networking, which may be on the same. */}}
{{- define "culvert.validatePorts" -}}
{{- $taken := dict -}}
{{- range $use := include "culvert.hostPorts" . | fromYamlArray -}}
{{- $place := printf "%s %d" $use.protocol (int $use.port) -}}
{{- if hasKey $taken $place -}}
{{- fail (printf "%s: %d: must be another port than %s: both are on the nodes' addresses" $use.key (int $use.port) (get $taken $place)) -}}
{{- end -}}
{{- $_ := set $taken $place $use.key -}}
{{- end -}}
{{- end -}}

{{- define "culvert.hostPorts" -}}
{{- $relay := .Values.relay -}}
{{- $stun := .Values.stun -}}
{{- $stunOn := and $stun.enabled (eq $stun.mode "hostNetwork") -}}
{{- range $name := list "relay" "stun" -}}
{{- $service := index $.Values $name -}}
{{- if and (eq $service.mode "hostNetwork") (or (eq $name "relay") $stunOn) }}
{{- range $transport, $listener := $service.listeners }}
{{- if $listener.enabled }}
- { key: {{ $name }}.listeners.{{ $transport }}.port, protocol: {{ ternary "UDP" "TCP" (eq $transport "udp") }}, port: {{ $listener.port }} }
{{- end }}
{{- end }}
- { key: {{ $name }}.opsPort, protocol: TCP, port: {{ $service.opsPort }} }
{{- end }}
{{- end }}
{{- if eq $relay.mode "hostNetwork" }}
- { key: relay.meshPort, protocol: UDP, port: {{ $relay.meshPort }} }
{{- if $relay.admin.enabled }}
- { key: relay.admin.port, protocol: TCP, port: {{ $relay.admin.port }} }
{{- end }}
{{- end }}
{{- if and $stunOn $stun.behaviourDiscovery.enabled }}
- { key: stun.behaviourDiscovery.port, protocol: UDP, port: {{ $stun.behaviourDiscovery.port }} }
- { key: stun.behaviourDiscovery.partnerPort, protocol: TCP, port: {{ $stun.behaviourDiscovery.partnerPort }} }
{{- end }}
{{- end -}}
