{{/*
Secrets that nobody gave: made at the first installation, read back at every other (`lookup`). One rendering makes them once, however
often it asks.
*/}}

{{- define "culvert.generated" -}}
{{- if not (hasKey .Values "generatedSecrets") -}}
{{- $name := include "culvert.secretName" . -}}
{{- $found := default (dict) (lookup "v1" "Secret" .Release.Namespace $name) -}}
{{- $data := default (dict) $found.data -}}
{{- $made := dict -}}
{{- range $key := list "adminToken" "apiToken" "keyFeedToken" "relayAdminToken" "stunPartnerToken" -}}
{{- $_ := set $made $key (include "culvert.kept" (dict "data" $data "key" (index $.Values.secrets.keys $key) "fresh" (randAlphaNum 40))) -}}
{{- end -}}
{{- $tenants := include "culvert.freshTenants" (dict "apiToken" $made.apiToken) -}}
{{- $_ := set $made "tenants" (include "culvert.kept" (dict "data" $data "key" .Values.secrets.keys.tenants "fresh" $tenants)) -}}
{{- $_ := set $made "fleetSecrets" (include "culvert.fleetSecrets" (dict "root" . "found" $found)) -}}
{{- $_ := set .Values "generatedSecrets" $made -}}
{{- end -}}
{{- toYaml .Values.generatedSecrets -}}
{{- end -}}

{{- define "culvert.kept" -}}
{{- if hasKey .data .key -}}{{ index .data .key | b64dec }}{{- else -}}{{ .fresh }}{{- end -}}
{{- end -}}

{{/* The tenant of the first steps. Ids are new with each installation: Redis may know those of one before. */}}
{{- define "culvert.freshTenants" -}}
{{- $id := randAlphaNum 6 | lower -}}
- id: default
  keys:
    - kid: key-{{ $id }}
      secret: {{ randAlphaNum 40 }}
  tokens:
    - id: app-{{ $id }}
      token: {{ .apiToken }}
{{- end -}}

{{/*
Steps of `secrets.fleetRotation`, from the one that the Secret's annotation tells: 1, 4, … add a secret; 2, 5, … sign with it;
3, 6, … take the old one away.
*/}}
{{- define "culvert.fleetSecrets" -}}
{{- $wanted := int .root.Values.secrets.fleetRotation -}}
{{- $key := .root.Values.secrets.keys.fleetSecrets -}}
{{- $data := default (dict) .found.data -}}
{{- if not (hasKey $data $key) -}}
{{- randAlphaNum 48 -}}
{{- else -}}
{{- $now := dig "metadata" "annotations" "culvert.io/fleet-rotation" "0" .found | int -}}
{{- $secrets := splitList "," (index $data $key | b64dec) -}}
{{- if eq $wanted $now -}}
{{- join "," $secrets -}}
{{- else if ne $wanted (add $now 1 | int) -}}
{{- fail (printf "secrets.fleetRotation: %d: must be %d, as it is, or %d, the next step" $wanted $now (add $now 1)) -}}
{{- else if eq (mod $wanted 3) 1 -}}
{{- join "," (append $secrets (randAlphaNum 48)) -}}
{{- else if eq (mod $wanted 3) 2 -}}
{{- join "," (reverse $secrets) -}}
{{- else -}}
{{- first $secrets -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The same for a password of a server of the chart's own: (dict "root" $ "component" "redis"). */}}
{{- define "culvert.ownPassword" -}}
{{- $known := printf "%sPassword" .component -}}
{{- if not (hasKey .root.Values $known) -}}
{{- $found := default (dict) (lookup "v1" "Secret" .root.Release.Namespace (include "culvert.componentName" .)) -}}
{{- $_ := set .root.Values $known (include "culvert.kept" (dict "data" (default (dict) $found.data) "key" "password" "fresh" (randAlphaNum 40))) -}}
{{- end -}}
{{- index .root.Values $known -}}
{{- end -}}

{{/* Where Redis' password comes from, as items of a projected volume; null where it has none. */}}
{{- define "culvert.redisSecret" -}}
{{- if .Values.redis.enabled -}}
name: {{ include "culvert.fullname" . }}-redis
items:
  - { key: password, path: redis-password }
{{- else -}}
{{- with .Values.redis.external -}}
{{- if .existingSecret }}
name: {{ .existingSecret }}
items:
  {{- if .passwordKey }}
  - { key: {{ .passwordKey | quote }}, path: redis-password }
  {{- end }}
  {{- if .sentinelPasswordKey }}
  - { key: {{ .sentinelPasswordKey | quote }}, path: redis-sentinel-password }
  {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "culvert.natsSecret" -}}
{{- if .Values.nats.enabled -}}
name: {{ include "culvert.fullname" . }}-nats
items:
  - { key: password, path: nats-token }
{{- else -}}
{{- with .Values.nats.external -}}
{{- if and .servers .existingSecret }}
name: {{ .existingSecret }}
items:
  {{- if .user }}
  - { key: {{ .passwordKey | quote }}, path: nats-password }
  {{- else if .tokenKey }}
  - { key: {{ .tokenKey | quote }}, path: nats-token }
  {{- else }}
  - { key: {{ .credentialsKey | quote }}, path: nats.creds }
  {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Certificates for connections to Redis, NATS and the key feed: (dict "tls" … "name" "redis"). */}}
{{- define "culvert.tlsItems" -}}
name: {{ .tls.existingSecret }}
items:
  - { key: ca.crt, path: {{ .name }}-ca.crt }
  {{- if .certificate }}
  - { key: tls.crt, path: {{ .name }}-tls.crt }
  - { key: tls.key, path: {{ .name }}-tls.key }
  {{- end }}
{{- end -}}

{{/*
Sources of the projected volume beside the chart's Secret, as a YAML list: (dict "root" $ "uses" (list "redis" "nats" "keyFeed")).
*/}}
{{- define "culvert.secretSources" -}}
{{- $values := .root.Values -}}
{{- $sources := list -}}
{{- range $name := list "redis" "nats" -}}
{{- if has $name $.uses -}}
{{- with include (printf "culvert.%sSecret" $name) $.root | fromYaml }}{{ $sources = append $sources . }}{{ end -}}
{{- $server := index $values $name -}}
{{- $tls := $server.external.tls -}}
{{- if and (not $server.enabled) $tls.enabled $tls.existingSecret -}}
{{- $sources = append $sources (include "culvert.tlsItems" (dict "tls" $tls "name" $name "certificate" $tls.clientCertificate) | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $feed := $values.credential.keyFeed.tls -}}
{{- if and $feed.existingSecret (or (has "keyFeed" .uses) (has "keyFeedServer" .uses)) -}}
{{- $sources = append $sources (include "culvert.tlsItems" (dict "tls" $feed "name" "key-feed" "certificate" (has "keyFeedServer" .uses)) | fromYaml) -}}
{{- end -}}
{{- $static := $values.credential.staticAuth -}}
{{- if and $static.existingSecret (has "staticAuth" .uses) -}}
{{- $sources = append $sources (dict "name" $static.existingSecret "items" (list (dict "key" $static.key "path" "static-auth-secrets"))) -}}
{{- end -}}
{{- toYaml $sources -}}
{{- end -}}

{{/* Variables that name files with passwords: (dict "root" $ "prefix" "CULVERT_RELAY_FLEET"). */}}
{{- define "culvert.redisEnv" -}}
{{- range $item := (include "culvert.redisSecret" .root | fromYaml).items }}
- name: {{ $.prefix }}_REDIS_{{ ternary "PASSWORD" "SENTINEL_PASSWORD" (eq $item.path "redis-password") }}_FILE
  value: /run/culvert/secrets/{{ $item.path }}
{{- end }}
{{- end -}}

{{- define "culvert.natsEnv" -}}
{{- range $item := (include "culvert.natsSecret" .root | fromYaml).items }}
{{- if ne $item.path "nats.creds" }}
- name: {{ $.prefix }}_NATS_{{ ternary "TOKEN" "PASSWORD" (eq $item.path "nats-token") }}_FILE
  value: /run/culvert/secrets/{{ $item.path }}
{{- end }}
{{- end }}
{{- end -}}
