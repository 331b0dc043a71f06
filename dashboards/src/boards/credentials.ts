import type { Board } from "../board.ts";
import { quantile, rateBy, series } from "../query.ts";
import { PROCESS_PANELS } from "./process.ts";

const SECONDS = "culvert_credential_http_request_duration_seconds";

/** What is minted and refused, how the API answers, and who follows the keys. */
export const CREDENTIALS: Board = {
  name: "credentials",
  title: "Culvert / Credentials",
  description: "Credentials minted and refused, the HTTP API, keys and who follows them, revocations.",
  instancesOf: { metric: "culvert_credential_signing_keys" },
  rows: [
    {
      title: "At a glance",
      panels: [
        {
          kind: "stat",
          title: "Minted",
          description: "Credentials and tokens issued, in a second.",
          unit: "ops",
          queries: [{ expr: rateBy([], "culvert_credential_minted_total"), legend: "minted" }],
        },
        {
          kind: "stat",
          title: "Refused",
          description: "Share of what was asked for that was refused.",
          unit: "percentunit",
          queries: [
            {
              expr: `${rateBy([], "culvert_credential_refused_total")} / (${rateBy([], "culvert_credential_refused_total")} + ${rateBy([], "culvert_credential_minted_total")})`,
              legend: "refused",
            },
          ],
          steps: [
            [null, "green"],
            [0.05, "orange"],
            [0.5, "red"],
          ],
        },
        {
          kind: "stat",
          title: "Server errors",
          description: "Share of HTTP requests answered with 5xx.",
          unit: "percentunit",
          queries: [
            {
              expr: `(${rateBy([], "culvert_credential_http_requests_total", 'status=~"5.."')} or vector(0)) / ${rateBy([], "culvert_credential_http_requests_total")}`,
              legend: "5xx",
            },
          ],
          steps: [
            [null, "green"],
            [0.01, "orange"],
            [0.05, "red"],
          ],
        },
        {
          kind: "stat",
          title: "p99",
          description: "99th percentile of the time that an HTTP request takes.",
          unit: "s",
          queries: [{ expr: quantile(0.99, [], SECONDS), legend: "p99" }],
        },
        {
          kind: "stat",
          title: "Signing keys",
          description: "Keys that sign or verify, of all tenants.",
          unit: "none",
          queries: [{ expr: `max(${series("culvert_credential_signing_keys")})`, legend: "keys" }],
        },
        {
          kind: "stat",
          title: "Key watchers",
          description: "Relays and signaling replicas that follow the keys. Should be as many as there are.",
          unit: "none",
          queries: [{ expr: `sum(${series("culvert_credential_key_watchers")})`, legend: "watchers" }],
        },
        {
          kind: "stat",
          title: "Revocations in force",
          description: "Users and credentials that are refused although they have not ended.",
          unit: "none",
          queries: [{ expr: `max(${series("culvert_credential_revocations")})`, legend: "revocations" }],
        },
        {
          kind: "stat",
          title: "Redis",
          description: "Whether the store answers, on the instance for which it does not.",
          unit: "none",
          queries: [{ expr: `min(${series("culvert_credential_redis_up")})`, legend: "up" }],
          steps: [
            [null, "red"],
            [1, "green"],
          ],
        },
      ],
    },
    {
      title: "Minted and refused",
      panels: [
        {
          kind: "graph",
          title: "Minted, by API shape and scheme",
          description: "turn-rest is coturn's scheme; cloudflare, twilio and signaling are the shapes of the requests.",
          unit: "ops",
          stacked: true,
          queries: [
            { expr: rateBy(["shape", "scheme"], "culvert_credential_minted_total"), legend: "{{shape}} {{scheme}}" },
          ],
        },
        {
          kind: "graph",
          title: "Refused, by reason",
          description:
            "unauthenticated: a token is missing or wrong. forbidden: its scope does not do. invalid_…: what is asked for.",
          unit: "ops",
          stacked: true,
          queries: [
            { expr: rateBy(["shape", "reason"], "culvert_credential_refused_total"), legend: "{{shape}} {{reason}}" },
          ],
        },
        {
          kind: "graph",
          title: "Revocations and failed authentications",
          description: "Revocations made; tokens that were wrong, at the API (http) and at the key feed (grpc).",
          unit: "cps",
          queries: [
            { expr: rateBy(["subject"], "culvert_credential_revoked_total"), legend: "revoked {{subject}}" },
            { expr: rateBy(["via"], "culvert_credential_auth_failures_total"), legend: "wrong token, {{via}}" },
          ],
        },
      ],
    },
    {
      title: "HTTP API",
      panels: [
        {
          kind: "graph",
          title: "Requests by route",
          description: "none: a path that there is nothing at.",
          unit: "reqps",
          stacked: true,
          queries: [
            {
              expr: rateBy(["method", "route"], "culvert_credential_http_requests_total"),
              legend: "{{method}} {{route}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Requests by status",
          description: "429: guessing of tokens is slowed down, by source.",
          unit: "reqps",
          stacked: true,
          queries: [{ expr: rateBy(["status"], "culvert_credential_http_requests_total"), legend: "{{status}}" }],
        },
        {
          kind: "graph",
          title: "Answered in, by route",
          description: "99th percentile. Minting asks Redis once; what changes something, more often.",
          unit: "s",
          queries: [{ expr: quantile(0.99, ["route"], SECONDS), legend: "{{route}}" }],
        },
      ],
    },
    {
      title: "Store, bus and process",
      panels: [
        {
          kind: "graph",
          title: "Redis answers in",
          description: "99th percentile from a command or script to its answer.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.99, ["instance"], "culvert_credential_redis_request_duration_seconds"),
              legend: "{{instance}}",
            },
          ],
        },
        {
          kind: "graph",
          title: "Errors and reconnects",
          description:
            "Of Redis and NATS. Without Redis nothing is minted; without NATS revocations take the key feed's way.",
          unit: "cps",
          queries: [
            { expr: rateBy(["reason"], "culvert_credential_redis_errors_total"), legend: "Redis {{reason}}" },
            { expr: rateBy([], "culvert_credential_redis_reconnects_total"), legend: "Redis reconnects" },
            { expr: rateBy(["reason"], "culvert_credential_nats_errors_total"), legend: "NATS {{reason}}" },
          ],
        },
        {
          kind: "graph",
          title: "NATS answers in",
          description: "Round trip of a ping, every five seconds, and whether it answers.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.99, ["instance"], "culvert_credential_nats_round_trip_seconds"),
              legend: "{{instance}}",
            },
          ],
        },
        ...PROCESS_PANELS,
      ],
    },
  ],
};
