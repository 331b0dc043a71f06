import type { KeyChange, KeySnapshot, KeyState, Revocation, SigningKey } from "@culvert/credentials";
import type { StoredKey } from "../../credential-store.ts";
import { list, text } from "../reply.ts";

/** The words by which scripts take a key. */
export function encodeKey({ kid, tenant, secret, state, notAfter, createdAt }: StoredKey): (string | number)[] {
  return [kid, tenant, Buffer.from(secret).toString("base64url"), state, notAfter ?? "", createdAt];
}

/** A key as scripts tell it. */
export function decodeKey(row: readonly unknown[]): StoredKey {
  const [kid, tenant, secret, state, notAfter, createdAt] = row.map(text);
  return { ...signingKey({ kid, tenant, secret, state, notAfter }), createdAt: Number(createdAt) };
}

/** Without what only the store is interested in. */
export function decodeSigningKey(row: readonly unknown[]): SigningKey {
  const [kid, tenant, secret, state, notAfter] = row.map(text);
  return signingKey({ kid, tenant, secret, state, notAfter });
}

interface KeyFields {
  readonly kid: string | undefined;
  readonly tenant: string | undefined;
  readonly secret: string | undefined;
  readonly state: string | undefined;
  readonly notAfter: string | undefined;
}

function signingKey({ kid = "", tenant = "", secret = "", state, notAfter = "" }: KeyFields): SigningKey {
  return {
    tenant,
    kid,
    secret: new Uint8Array(Buffer.from(secret, "base64url")),
    state: keyState(state),
    ...(notAfter === "" ? {} : { notAfter: Number(notAfter) }),
  };
}

function keyState(text: string | undefined): KeyState {
  if (text === "active" || text === "retiring") return text;
  throw new TypeError(`a key in Redis has the state ${JSON.stringify(text)}`);
}

/** A subject of one tenant as one word, the same for the same subject. */
export function encodeSubject({ subject }: Revocation): string {
  return subject.kind === "username" ? `username:${subject.username}` : `user:${subject.user}`;
}

export function decodeRevocation(tenant: string, subject: string, times: string): Revocation {
  const colon = subject.indexOf(":");
  const name = subject.slice(colon + 1);
  const [revokedAt, expiresAt] = times.split(" ").map(Number);
  return {
    tenant,
    subject: subject.startsWith("username:") ? { kind: "username", username: name } : { kind: "user", user: name },
    revokedAt: revokedAt ?? 0,
    expiresAt: expiresAt ?? 0,
  };
}

export interface RevisedSnapshot {
  readonly revision: bigint;
  readonly snapshot: KeySnapshot;
}

export function decodeSnapshot(reply: unknown): RevisedSnapshot {
  const [revision, keys, revoked] = list(reply);
  return {
    revision: BigInt(text(revision)),
    snapshot: {
      keys: list(keys).map((row) => decodeSigningKey(list(row))),
      revocations: list(revoked).map((row) => {
        const [tenant = "", subject = "", times = ""] = list(row).map(text);
        return decodeRevocation(tenant, subject, times);
      }),
    },
  };
}

/** An entry of the log: names and values, one after the other. Undefined: of a kind that this program does not know. */
export function decodeChange(fields: readonly string[]): KeyChange | undefined {
  const entry: Partial<Record<string, string>> = {};
  for (let at = 0; at + 1 < fields.length; at += 2) entry[fields[at] ?? ""] = fields[at + 1] ?? "";
  const { type, tenant = "", kid, secret, state, notAfter, subject = "", revokedAt, expiresAt, trace } = entry;
  const traced = trace === undefined ? {} : { trace };
  if (type === "key-changed") return { type, key: signingKey({ kid, tenant, secret, state, notAfter }), ...traced };
  if (type === "key-removed") return { type, tenant, kid: kid ?? "", ...traced };
  if (type === "revoked") {
    return { type, revocation: decodeRevocation(tenant, subject, `${revokedAt} ${expiresAt}`), ...traced };
  }
  return undefined;
}
