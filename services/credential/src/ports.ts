import type { EventBus } from "@culvert/events";
import type { RandomSource } from "@culvert/runtime";
import type { CredentialStore } from "@culvert/state";
import type { Logger, Metrics, ServiceTracing } from "@culvert/telemetry";
import type { TurnUris } from "./uris.ts";

/** What the service needs from outside. */
export interface CredentialServicePorts {
  /** Not closed by the service. */
  readonly store: CredentialStore;
  /** Told of revocations, as a hint; the key feed is what counts. */
  readonly bus?: EventBus;
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number;
  readonly random: RandomSource;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Started and shut down by whoever made it. Absent: nothing is traced. */
  readonly tracing?: ServiceTracing;
  /** What clients are told. Asked at each issue, so it may change. Absent: what the configuration names. */
  readonly uris?: () => TurnUris;
}
