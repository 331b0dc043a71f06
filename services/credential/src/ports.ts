import type { KeyChange, KeySnapshot } from "@culvert/credentials";
import type { EventBus } from "@culvert/events";
import type { CredentialStore } from "@culvert/state";
import type { Logger, Metrics } from "@culvert/telemetry";
import type { TurnUris } from "./uris.ts";

/** Source of random bytes: a CSPRNG. */
export interface RandomSource {
  bytes(count: number): Uint8Array;
}

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
  /** What clients are told. Asked at each issue, so it may change. Absent: what the configuration names. */
  readonly uris?: () => TurnUris;
}

/** Takes what a key feed tells. */
export interface KeySink {
  /** Replaces everything known so far. */
  onSnapshot(snapshot: KeySnapshot, revision: bigint): void;
  onChange(change: KeyChange, revision: bigint): void;
}

/** A running watch of a key feed. */
export interface KeyWatch {
  /** Resolves with the first snapshot; rejects when the watch is closed before. */
  readonly ready: Promise<void>;
  /** Whether the keys are known to be current. */
  connected(): boolean;
  close(): void;
}

/** Signing keys and revocations for verifiers in this process. */
export interface KeyFeed {
  watch(sink: KeySink): KeyWatch;
}
