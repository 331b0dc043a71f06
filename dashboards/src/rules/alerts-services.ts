import type { Alert } from "./rule.ts";
import { histogram, sample } from "./sample.ts";

export const KEYS: readonly Alert[] = [
  {
    name: "CulvertKeysStale",
    severity: "warning",
    for: "10m",
    expr: "culvert_relay_key_watch_connected == 0 or culvert_signaling_keys_connected == 0",
    summary: "A service does not hear of new keys",
    description:
      "{{ $labels.instance }} has not followed the credential service for 10 minutes. Keys that it knows stay in force.",
    fires: [sample("culvert_relay_key_watch_connected", "0x30")],
    quiet: [sample("culvert_relay_key_watch_connected", "1x30"), sample("culvert_signaling_keys_connected", "1x30")],
  },
  {
    name: "CulvertNoSigningKeys",
    severity: "critical",
    for: "5m",
    expr: "(culvert_relay_signing_keys == 0 and on (namespace, instance) culvert_relay_key_watch_connected) or culvert_signaling_keys == 0",
    summary: "A service knows no signing key",
    description: "{{ $labels.instance }} can verify no credential of the credential service.",
    fires: [sample("culvert_relay_signing_keys", "0x30"), sample("culvert_relay_key_watch_connected", "1x30")],
    quiet: [sample("culvert_relay_signing_keys", "0x30"), sample("culvert_signaling_keys", "1x30")],
  },
  {
    name: "CulvertCertificateExpiring",
    severity: "warning",
    for: "1h",
    expr: "(culvert_relay_certificate_not_after_seconds or culvert_stun_certificate_not_after_seconds) - time() < 14 * 86400",
    summary: "A certificate ends within two weeks",
    description:
      "The TLS certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}, and was not renewed.",
    fires: [sample("culvert_relay_certificate_not_after_seconds", "864000x120")],
    quiet: [sample("culvert_relay_certificate_not_after_seconds", "2592000x120")],
    at: "90m",
  },
  {
    name: "CulvertCertificateExpired",
    severity: "critical",
    for: "5m",
    expr: "(culvert_relay_certificate_not_after_seconds or culvert_stun_certificate_not_after_seconds) - time() < 86400",
    summary: "A certificate ends within a day, or has ended",
    description:
      "The TLS certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}: TLS clients are about to be lost.",
    fires: [sample("culvert_stun_certificate_not_after_seconds", "600x30")],
    quiet: [sample("culvert_stun_certificate_not_after_seconds", "864000x30")],
  },
  {
    name: "CulvertReloadFailed",
    severity: "warning",
    expr: 'increase(culvert_relay_reloads_total{outcome="failed"}[1h]) > 0 or increase(culvert_stun_reloads_total{outcome="failed"}[1h]) > 0',
    summary: "A file that has changed could not be used",
    description:
      "{{ $labels.instance }} could not use a new certificate or configuration, and goes on with the old one.",
    fires: [sample("culvert_relay_reloads_total", "0x10 1x20", 'what="certificate",outcome="failed"')],
    quiet: [sample("culvert_relay_reloads_total", "0x10 1x20", 'what="certificate",outcome="ok"')],
  },
];

export const CREDENTIAL: readonly Alert[] = [
  {
    name: "CulvertCredentialErrors",
    severity: "critical",
    for: "5m",
    expr: "culvert:credential_http_requests_failed:ratio_rate5m > 0.05",
    summary: "The credential service answers with server errors",
    description:
      "{{ $value | humanizePercentage }} of the requests to the credential service fail (5xx): applications get no credentials.",
    fires: [
      sample("culvert_credential_http_requests_total", "0+6x30", 'route="/",method="GET",status="503"'),
      sample("culvert_credential_http_requests_total", "0+60x30", 'route="/",method="GET",status="200"'),
    ],
    quiet: [
      sample("culvert_credential_http_requests_total", "0+60x30", 'route="/",method="GET",status="401"'),
      sample("culvert_credential_http_requests_total", "0+1x30", 'route="/",method="GET",status="503"'),
    ],
  },
  {
    name: "CulvertCredentialSlow",
    severity: "warning",
    for: "10m",
    expr: "histogram_quantile(0.99, sum by (namespace, le) (rate(culvert_credential_http_request_duration_seconds_bucket[5m]))) > 1",
    summary: "The credential service answers slowly",
    description: "One request of a hundred to the credential service takes more than {{ $value | humanizeDuration }}.",
    fires: histogram("culvert_credential_http_request_duration_seconds", "2.5", 'route="/",method="GET"'),
    quiet: histogram("culvert_credential_http_request_duration_seconds", "0.25", 'route="/",method="GET"'),
  },
  {
    name: "CulvertCredentialRefused",
    severity: "warning",
    for: "10m",
    expr: "sum by (namespace) (rate(culvert_credential_refused_total[5m])) / (sum by (namespace) (rate(culvert_credential_refused_total[5m])) + sum by (namespace) (rate(culvert_credential_minted_total[5m]))) > 0.5 and sum by (namespace) (rate(culvert_credential_refused_total[5m])) > 0.1",
    summary: "Most requests for credentials are refused",
    description: "{{ $value | humanizePercentage }} of the requests for credentials are refused.",
    fires: [
      sample("culvert_credential_refused_total", "0+60x30", 'shape="cloudflare",reason="unauthenticated"'),
      sample("culvert_credential_minted_total", "0+6x30", 'shape="cloudflare",scheme="minted"'),
    ],
    quiet: [
      sample("culvert_credential_refused_total", "0+6x30", 'shape="cloudflare",reason="unauthenticated"'),
      sample("culvert_credential_minted_total", "0+60x30", 'shape="cloudflare",scheme="minted"'),
    ],
  },
  {
    name: "CulvertCredentialAuthFailures",
    severity: "warning",
    for: "10m",
    expr: "sum by (namespace, via) (rate(culvert_credential_auth_failures_total[5m])) > 1",
    summary: "Somebody tries tokens",
    description: "{{ $value | humanize }} wrong tokens a second by {{ $labels.via }}.",
    fires: [sample("culvert_credential_auth_failures_total", "0+120x30", 'via="http"')],
    quiet: [sample("culvert_credential_auth_failures_total", "0+6x30", 'via="http"')],
  },
];

export const SIGNALING: readonly Alert[] = [
  {
    name: "CulvertSignalingResumesFailing",
    severity: "warning",
    for: "10m",
    expr: 'sum by (namespace) (rate(culvert_signaling_resumes_total{outcome!="replayed"}[5m])) / sum by (namespace) (rate(culvert_signaling_resumes_total[5m])) > 0.2',
    summary: "Clients cannot resume their sessions",
    description: "{{ $value | humanizePercentage }} of the attempts to resume a session miss messages or are refused.",
    fires: [
      sample("culvert_signaling_resumes_total", "0+30x30", 'outcome="unknown"'),
      sample("culvert_signaling_resumes_total", "0+60x30", 'outcome="replayed"'),
    ],
    quiet: [
      sample("culvert_signaling_resumes_total", "0+3x30", 'outcome="expired"'),
      sample("culvert_signaling_resumes_total", "0+60x30", 'outcome="replayed"'),
    ],
  },
  {
    name: "CulvertSignalingSlowConsumers",
    severity: "warning",
    for: "10m",
    expr: "sum by (namespace) (rate(culvert_signaling_outbox_overflows_total[5m])) > 0.1",
    summary: "Sessions end because their clients do not acknowledge",
    description: "{{ $value | humanize }} sessions a second end since too much waits for their client.",
    fires: [sample("culvert_signaling_outbox_overflows_total", "0+12x30")],
    quiet: [sample("culvert_signaling_outbox_overflows_total", "0+1x30")],
  },
  {
    name: "CulvertSignalingReplicaLost",
    severity: "warning",
    expr: 'sum by (namespace) (increase(culvert_signaling_replica_changes_total{change="lost"}[10m])) > 0',
    summary: "A replica of signaling was lost",
    description:
      "A replica of signaling went without a word, or is not heard by the others. Its clients resume elsewhere.",
    fires: [sample("culvert_signaling_replica_changes_total", "0x15 1x20", 'change="lost"')],
    quiet: [sample("culvert_signaling_replica_changes_total", "0x15 1x20", 'change="left"')],
  },
  {
    name: "CulvertSignalingAttemptsFailing",
    severity: "warning",
    for: "15m",
    expr: 'sum by (namespace) (rate(culvert_signaling_attempts_total{outcome="failed"}[10m])) / sum by (namespace) (rate(culvert_signaling_attempts_total[10m])) > 0.5',
    summary: "Peers do not get connected",
    description: "{{ $value | humanizePercentage }} of the steps of connection attempts that peers report have failed.",
    fires: [
      sample("culvert_signaling_attempts_total", "0+60x40", 'outcome="failed"'),
      sample("culvert_signaling_attempts_total", "0+30x40", 'outcome="ok"'),
    ],
    quiet: [
      sample("culvert_signaling_attempts_total", "0+20x40", 'outcome="failed"'),
      sample("culvert_signaling_attempts_total", "0+60x40", 'outcome="ok"'),
    ],
    at: "30m",
  },
  {
    name: "CulvertSignalingRefused",
    severity: "warning",
    for: "10m",
    expr: "sum by (namespace, reason) (rate(culvert_signaling_refused_total[5m])) > 5",
    summary: "Signaling turns many clients or messages away",
    description: "{{ $value | humanize }} connections or messages a second are refused ({{ $labels.reason }}).",
    fires: [sample("culvert_signaling_refused_total", "0+600x30", 'reason="auth_expired"')],
    quiet: [sample("culvert_signaling_refused_total", "0+60x30", 'reason="auth_expired"')],
  },
];

export const STUN: readonly Alert[] = [
  {
    name: "CulvertStunPartnerDown",
    severity: "warning",
    for: "5m",
    expr: "culvert_stun_partner_up == 0",
    summary: "Behaviour discovery lacks its partner",
    description:
      "The partner of {{ $labels.instance }} does not answer: clients cannot find out how their NAT filters.",
    fires: [sample("culvert_stun_partner_up", "0x30")],
    quiet: [sample("culvert_stun_partner_up", "1x30")],
  },
];
