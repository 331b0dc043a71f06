/** What this library needs of a cryptographic library: synchronous HMACs (RFC 2104). `StunCrypto` satisfies it. */
export interface CredentialCrypto {
  hmacSha1(key: Uint8Array, data: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

/** `active` signs and verifies; `retiring` was rotated out and only verifies what it has signed. */
export type KeyState = "active" | "retiring";

/** One secret of one tenant. */
export interface SigningKey {
  readonly tenant: string;
  /** Names the key inside API-minted usernames. Unique over all tenants. */
  readonly kid: string;
  readonly secret: Uint8Array;
  readonly state: KeyState;
  /** Seconds since the Unix epoch from which on nothing signed with the key is accepted. Absent: never. */
  readonly notAfter?: number;
}

/** A whole username, or the user that any number of usernames stand for. */
export type RevocationSubject =
  | { readonly kind: "username"; readonly username: string }
  | { readonly kind: "user"; readonly user: string };

/** Refuses credentials until they would have expired anyway. */
export interface Revocation {
  readonly tenant: string;
  readonly subject: RevocationSubject;
  /** Seconds since the Unix epoch. Of a user, credentials issued before this are refused. */
  readonly revokedAt: number;
  /** Seconds since the Unix epoch from which on the entry means nothing. */
  readonly expiresAt: number;
}

/** Everything a verifier has to know. */
export interface KeySnapshot {
  readonly keys: readonly SigningKey[];
  readonly revocations: readonly Revocation[];
}

/** One change of what a verifier has to know. Applying one twice is the same as applying it once. */
export type KeyChange = (
  | { readonly type: "key-changed"; readonly key: SigningKey }
  | { readonly type: "key-removed"; readonly tenant: string; readonly kid: string }
  | { readonly type: "revoked"; readonly revocation: Revocation }
) & {
  /** Names what the change is part of, for who traces. It changes nothing. */
  readonly trace?: string;
};

/**
 * What a source of keys tells, in order: a snapshot first, which replaces all that was known, then changes whose revisions
 * grow by one. A source that lost its place tells a new snapshot.
 */
export type KeyUpdate =
  | { readonly revision: bigint; readonly snapshot: KeySnapshot }
  | { readonly revision: bigint; readonly change: KeyChange };

/** The tenant whose secrets also sign by coturn's REST scheme, which names neither key nor tenant. */
export const DEFAULT_TENANT = "default";

/** Letters, digits, `_` and `-`; 1 to 64 of them. Holds for tenant and key ids, which end up in storage keys and subjects. */
export const ID_PATTERN: RegExp = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether the text may name a tenant or a signing key. */
export function isId(text: string): boolean {
  return ID_PATTERN.test(text);
}
