import type { Millis } from "./io.ts";

/** What a verified credential says about its bearer. */
export interface Claims {
  readonly tenant: string;
  /** The application's id of the user; empty where the credential names none. */
  readonly user: string;
  /** The signing key that the credential was minted with. */
  readonly kid?: string;
  /** The only IP address that may use the credential. */
  readonly clientIp?: string;
  /** The only peers that may be reached; within the peer policy, never beyond it. */
  readonly peerCidrs?: readonly string[];
  /** Bytes per second, for each direction of each relayed address. */
  readonly maxBps?: number;
  /** Allocations that the user may hold at once. Takes the place of the configured cap. */
  readonly maxAllocations?: number;
}

/** Who asks. A request names its user by USERNAME or by USERHASH (RFC 8489 section 14.4), never both. */
export type CredentialQuery =
  | { readonly username: string; readonly userHash?: undefined; readonly realm: string; readonly nowMs: Millis }
  | { readonly userHash: Uint8Array; readonly username?: undefined; readonly realm: string; readonly nowMs: Millis };

/** A password that the user may have, and the key that it was derived from. */
export interface PasswordCandidate {
  readonly password: string;
  readonly kid?: string;
}

export interface KnownCredential {
  readonly kind: "known";
  readonly claims: Claims;
  /** Milliseconds since the epoch. From then on requests are answered with 401; the allocation lives out its lifetime. */
  readonly expiresAt?: Millis;
  /** Tried in their order: all active secrets of a tenant during a rotation. */
  readonly candidates: readonly PasswordCandidate[];
  /** The user name behind a user hash. Required where the query had `userHash`. */
  readonly username?: string;
}

export interface RejectedCredential {
  readonly kind: "rejected";
  /** A short stable word for metrics: "expired", "unknown-key", "malformed", "revoked". Never sent to the client. */
  readonly reason: string;
}

/** "ask": another process has to decide. The question leaves as an `Ask` output and returns by `handleAnswer`. */
export type CredentialResolution = KnownCredential | RejectedCredential | { readonly kind: "ask" };

/** Finds the passwords of a user. Synchronous, since it stands in the path of every control request. */
export interface Authenticator {
  resolve(query: CredentialQuery): CredentialResolution;
  /**
   * Whether `resolve` answers queries by user hash. Only then is username anonymity announced in nonces (RFC 8489
   * section 9.2).
   */
  readonly supportsUserHash?: boolean;
}
