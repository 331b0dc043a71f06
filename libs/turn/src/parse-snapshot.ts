import { canonicalIp, familyOf } from "@culvert/stun";
import type { Claims } from "./authenticator.ts";
import { decodeBase64Url } from "./base64.ts";
import type { ClientTransport, ClientTuple, InitialCounters } from "./io.ts";
import type { AllocationSnapshot, ChannelSnapshot, PermissionSnapshot, RelaySnapshot } from "./snapshot.ts";
import { isRecord } from "./tickets.ts";

export type ParsedSnapshot =
  | { readonly ok: true; readonly snapshot: AllocationSnapshot }
  /** `record` is empty where that could not be read. */
  | { readonly ok: false; readonly record: string };

/** Not a snapshot. Never leaves this file. */
class Malformed extends Error {}

type Fields = Readonly<Record<string, unknown>>;

const TRANSPORTS: readonly ClientTransport[] = ["udp", "tcp", "tls", "dtls"];
const TRANSACTION_BYTES = 12;
/** More than this many permissions or channels no server gives. */
const MAX_ITEMS = 65_536;

/** Reads a snapshot that comes from outside: what storage gives back may be anything. */
export function parseSnapshot(input: unknown): ParsedSnapshot {
  try {
    return { ok: true, snapshot: snapshotOf(fields(input)) };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { ok: false, record: recordOf(input) };
  }
}

function recordOf(input: unknown): string {
  const record = isFields(input) ? input.record : undefined;
  return typeof record === "string" && isRecord(record) ? record : "";
}

function snapshotOf(input: Fields): AllocationSnapshot {
  const { movingTo, kid, ticket } = input;
  const relays = list(input.relays).map(relayOf);
  const record = text(input.record);
  const transaction = text(input.transaction);
  check(input.version === 1 && isRecord(record));
  check(decodeBase64Url(transaction)?.length === TRANSACTION_BYTES);
  check(relays.length > 0 && new Set(relays.map(({ family }) => family)).size === relays.length);
  return {
    version: 1,
    record,
    client: tuple(input.client),
    ...(movingTo === undefined ? {} : { movingTo: tuple(movingTo) }),
    transport: oneOf(TRANSPORTS, input.transport),
    tenant: text(input.tenant),
    user: text(input.user),
    ...(kid === undefined ? {} : { kid: text(kid) }),
    username: text(input.username),
    claims: claimsOf(fields(input.claims)),
    createdAt: number(input.createdAt),
    transaction,
    ...(ticket === undefined ? {} : { ticket: integer(ticket, 0, 0xffffffff) }),
    relays,
  };
}

function claimsOf(input: Fields): Claims {
  const { kid, clientIp, peerCidrs, maxBps, maxAllocations } = input;
  return {
    tenant: text(input.tenant),
    user: text(input.user),
    ...(kid === undefined ? {} : { kid: text(kid) }),
    ...(clientIp === undefined ? {} : { clientIp: text(clientIp) }),
    ...(peerCidrs === undefined ? {} : { peerCidrs: list(peerCidrs).map(text) }),
    ...(maxBps === undefined ? {} : { maxBps: positive(maxBps) }),
    ...(maxAllocations === undefined ? {} : { maxAllocations: number(maxAllocations) }),
  };
}

function relayOf(input: unknown): RelaySnapshot {
  const relay = fields(input);
  const { slot, counters, lifetimeMs, grantedUntil } = relay;
  const family = oneOf([4, 6] as const, relay.family);
  const relayed = address(relay.relayed);
  check(familyOf(relayed.ip) === family);
  return {
    family,
    ...(slot === undefined ? {} : { slot: text(slot) }),
    local: address(relay.local),
    relayed,
    expiresAt: number(relay.expiresAt),
    ...(lifetimeMs === undefined ? {} : { lifetimeMs: positive(lifetimeMs) }),
    ...(grantedUntil === undefined ? {} : { grantedUntil: number(grantedUntil) }),
    permissions: list(relay.permissions).map((permission) => permissionOf(fields(permission), family)),
    channels: list(relay.channels).map((channel) => channelOf(fields(channel), family)),
    ...(counters === undefined ? {} : { counters: countersOf(fields(counters)) }),
  };
}

function permissionOf(input: Fields, family: 4 | 6): PermissionSnapshot {
  const peer = ip(input.ip);
  check(familyOf(peer) === family);
  return { ip: peer, expiresAt: number(input.expiresAt) };
}

function channelOf(input: Fields, family: 4 | 6): ChannelSnapshot {
  const peer = address(input.peer);
  check(familyOf(peer.ip) === family);
  return { number: integer(input.number, 0x4000, 0x7fff), peer, expiresAt: number(input.expiresAt) };
}

function countersOf(input: Fields): InitialCounters {
  const count = (value: unknown): number => integer(value, 0, Number.MAX_SAFE_INTEGER);
  return {
    packetsToPeers: count(input.packetsToPeers),
    bytesToPeers: count(input.bytesToPeers),
    packetsToClient: count(input.packetsToClient),
    bytesToClient: count(input.bytesToClient),
  };
}

function tuple(input: unknown): ClientTuple {
  const { listener, remote } = fields(input);
  return { listener: number(listener), remote: address(remote) };
}

function address(input: unknown): { readonly ip: string; readonly port: number } {
  const fieldsOfAddress = fields(input);
  return { ip: ip(fieldsOfAddress.ip), port: integer(fieldsOfAddress.port, 0, 65_535) };
}

function ip(input: unknown): string {
  const canonical = canonicalIp(text(input));
  if (canonical === undefined) throw new Malformed();
  return canonical;
}

function text(input: unknown): string {
  if (typeof input !== "string") throw new Malformed();
  return input;
}

function number(input: unknown): number {
  if (typeof input !== "number" || !Number.isFinite(input)) throw new Malformed();
  return input;
}

function positive(input: unknown): number {
  const value = number(input);
  check(value > 0);
  return value;
}

function integer(input: unknown, min: number, max: number): number {
  const value = number(input);
  check(Number.isInteger(value) && value >= min && value <= max);
  return value;
}

function oneOf<T>(values: readonly T[], input: unknown): T {
  const found = values.find((value) => value === input);
  if (found === undefined) throw new Malformed();
  return found;
}

function list(input: unknown): readonly unknown[] {
  if (!Array.isArray(input) || input.length > MAX_ITEMS) throw new Malformed();
  return input;
}

function fields(input: unknown): Fields {
  if (!isFields(input)) throw new Malformed();
  return input;
}

function isFields(input: unknown): input is Fields {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

function check(condition: boolean): void {
  if (!condition) throw new Malformed();
}
