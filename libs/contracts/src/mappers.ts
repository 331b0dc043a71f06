import type {
  KeyChange,
  KeySnapshot,
  KeyUpdate,
  Revocation,
  RevocationSubject,
  SigningKey,
} from "@culvert/credentials";
import {
  KeyState,
  type WatchKeysResponse,
  type KeySnapshot as WireKeySnapshot,
  type Revocation as WireRevocation,
  type SigningKey as WireSigningKey,
} from "./generated/culvert/credential/v1/keys.ts";

/** A message that a newer or broken peer sent and that this process cannot act upon. */
export class ContractError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ContractError";
  }
}

function toWireKey(key: SigningKey): WireSigningKey {
  return {
    tenant: key.tenant,
    kid: key.kid,
    secret: Buffer.from(key.secret),
    state: key.state === "active" ? KeyState.KEY_STATE_ACTIVE : KeyState.KEY_STATE_RETIRING,
    notAfter: BigInt(key.notAfter ?? 0),
  };
}

function fromWireKey(key: WireSigningKey): SigningKey {
  if (key.tenant === "" || key.kid === "" || key.secret.length === 0) {
    throw new ContractError("a signing key needs a tenant, a kid and a secret");
  }
  return {
    tenant: key.tenant,
    kid: key.kid,
    secret: new Uint8Array(key.secret),
    // A state that is not known here must not sign, and refusing what it has signed would be an outage.
    state: key.state === KeyState.KEY_STATE_ACTIVE ? "active" : "retiring",
    ...(key.notAfter === 0n ? {} : { notAfter: Number(key.notAfter) }),
  };
}

function toWireRevocation(revocation: Revocation): WireRevocation {
  const { subject } = revocation;
  return {
    tenant: revocation.tenant,
    subject:
      subject.kind === "username"
        ? { $case: "username", value: subject.username }
        : { $case: "user", value: subject.user },
    revokedAt: BigInt(revocation.revokedAt),
    expiresAt: BigInt(revocation.expiresAt),
  };
}

function fromWireSubject(subject: WireRevocation["subject"]): RevocationSubject {
  switch (subject?.$case) {
    case "username":
      return { kind: "username", username: subject.value };
    case "user":
      return { kind: "user", user: subject.value };
    default:
      throw new ContractError("a revocation needs a username or a user");
  }
}

function fromWireRevocation(revocation: WireRevocation): Revocation {
  return {
    tenant: revocation.tenant,
    subject: fromWireSubject(revocation.subject),
    revokedAt: Number(revocation.revokedAt),
    expiresAt: Number(revocation.expiresAt),
  };
}

function toWireSnapshot(snapshot: KeySnapshot): WireKeySnapshot {
  return { keys: snapshot.keys.map(toWireKey), revocations: snapshot.revocations.map(toWireRevocation) };
}

function toWireChange(change: KeyChange): WatchKeysResponse["change"] {
  switch (change.type) {
    case "key-changed":
      return { $case: "keyChanged", value: toWireKey(change.key) };
    case "key-removed":
      return { $case: "keyRemoved", value: { tenant: change.tenant, kid: change.kid } };
    case "revoked":
      return { $case: "revoked", value: toWireRevocation(change.revocation) };
  }
}

/** The message that `KeyService.WatchKeys` sends for an update. */
export function toWatchKeysResponse(update: KeyUpdate): WatchKeysResponse {
  const change: WatchKeysResponse["change"] =
    "snapshot" in update ? { $case: "snapshot", value: toWireSnapshot(update.snapshot) } : toWireChange(update.change);
  return { revision: update.revision, change, trace: "change" in update ? (update.change.trace ?? "") : "" };
}

/**
 * The update that a message of `KeyService.WatchKeys` stands for.
 *
 * @returns `undefined` for a kind of change that this process does not know
 * @throws ContractError when the message lacks what makes it one
 */
export function fromWatchKeysResponse(message: WatchKeysResponse): KeyUpdate | undefined {
  const { revision, change } = message;
  const traced = message.trace === "" ? {} : { trace: message.trace };
  switch (change?.$case) {
    case "snapshot": {
      const keys = change.value.keys.map(fromWireKey);
      const revocations = change.value.revocations.map(fromWireRevocation);
      return { revision, snapshot: { keys, revocations } };
    }
    case "keyChanged":
      return { revision, change: { type: "key-changed", key: fromWireKey(change.value), ...traced } };
    case "keyRemoved": {
      const { tenant, kid } = change.value;
      return { revision, change: { type: "key-removed", tenant, kid, ...traced } };
    }
    case "revoked":
      return { revision, change: { type: "revoked", revocation: fromWireRevocation(change.value), ...traced } };
    default:
      return undefined;
  }
}
