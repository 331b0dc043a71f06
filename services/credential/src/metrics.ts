import type { KeyRing } from "@culvert/credentials";
import type { Metrics } from "@culvert/telemetry";

/** The API shape through which something was asked for. */
export type Shape = "turn-rest" | "cloudflare" | "twilio" | "signaling";

/** What the service counts. No attribute names a tenant, a user or an address. */
export interface CredentialMetrics {
  minted(shape: Shape, scheme: "rest" | "minted" | "jwt"): void;
  /** @param reason the code of the error */
  refused(shape: Shape, reason: string): void;
  revoked(subject: "username" | "user"): void;
  authenticationFailed(via: "http" | "grpc"): void;
  request(route: string, method: string, status: number, seconds: number): void;
  watchers(change: 1 | -1): void;
}

/** The route of requests that none is there for. */
export const NO_ROUTE = "none";

const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export function createCredentialMetrics({ meter }: Metrics, ring: KeyRing): CredentialMetrics {
  const minted = meter.createCounter("culvert_credential_minted_total", {
    description: "Credentials and tokens issued",
  });
  const refused = meter.createCounter("culvert_credential_refused_total", {
    description: "Requests to issue that were refused, by error code",
  });
  const revoked = meter.createCounter("culvert_credential_revoked_total", { description: "Revocations made" });
  const failed = meter.createCounter("culvert_credential_auth_failures_total", {
    description: "Failed authentications",
  });
  const watchers = meter.createUpDownCounter("culvert_credential_key_watchers", {
    description: "Watchers of the key feed",
  });
  const seconds = meter.createHistogram("culvert_credential_http_request_duration_seconds", {
    description: "Time from a request's headers to the end of its answer, by route and method",
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
  const requests = meter.createCounter("culvert_credential_http_requests_total", {
    description: "Answered HTTP requests, by route, method and status",
  });
  meter
    .createObservableGauge("culvert_credential_signing_keys", { description: "Signing keys known" })
    .addCallback((result) => result.observe(ring.size.keys));
  meter
    .createObservableGauge("culvert_credential_revocations", { description: "Revocations in force" })
    .addCallback((result) => result.observe(ring.size.revocations));
  return {
    minted: (shape, scheme) => minted.add(1, { shape, scheme }),
    refused: (shape, reason) => refused.add(1, { shape, reason }),
    revoked: (subject) => revoked.add(1, { subject }),
    authenticationFailed: (via) => failed.add(1, { via }),
    request: (route, method, status, duration) => {
      // What anybody can ask for makes no series of its own.
      const known = route === NO_ROUTE ? { route, method: "any" } : { route, method };
      seconds.record(duration, known);
      requests.add(1, { ...known, status });
    },
    watchers: (change) => watchers.add(change),
  };
}
