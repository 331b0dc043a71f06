import type { StunCrypto } from "@culvert/stun";
import type { AllocateAttempts } from "./allocate-attempts.ts";
import type { Allocations } from "./allocations.ts";
import type { Alternate } from "./alternates.ts";
import type { Asks } from "./asks.ts";
import type { Authenticator } from "./authenticator.ts";
import type { ListenerConfig, ResolvedConfig } from "./config.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Guesses } from "./guesses.ts";
import type { ListenerId } from "./io.ts";
import type { LongTermKeys } from "./long-term-keys.ts";
import type { Nonces } from "./nonce.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { PeerGuard } from "./peer-guard.ts";
import type { Quotas } from "./quotas.ts";
import type { RandomSource } from "./random.ts";
import type { SourceLimiter } from "./rate-limit.ts";
import type { RelaySockets } from "./relay-sockets.ts";
import type { Reservations } from "./reservations.ts";
import type { Restores } from "./restore.ts";
import type { Tickets } from "./tickets.ts";

/** Where clients are sent while this server takes no new allocations. */
export interface Draining {
  /** Default: those of `setAlternates`. */
  readonly alternates?: readonly Alternate[];
}

/** The parts of a TURN server, as its handlers see them. */
export interface Core {
  readonly config: ResolvedConfig;
  readonly listeners: ReadonlyMap<ListenerId, ListenerConfig>;
  readonly crypto: StunCrypto;
  readonly random: RandomSource;
  readonly authenticator: Authenticator;
  readonly out: OutputQueue;
  readonly deadlines: Deadlines;
  readonly nonces: Nonces;
  readonly keys: LongTermKeys;
  /** For answers to those who are not authenticated. */
  readonly limiter: SourceLimiter;
  readonly guesses: Guesses;
  readonly guard: PeerGuard;
  readonly sockets: RelaySockets;
  readonly quotas: Quotas;
  readonly reservations: Reservations;
  readonly asks: Asks;
  readonly attempts: AllocateAttempts;
  readonly allocations: Allocations;
  readonly restores: Restores;
  readonly tickets: Tickets;
  /** Where clients are sent for whom there is no room. The best first. */
  readonly alternates: readonly Alternate[];
  readonly draining: Draining | undefined;
}
