import { strict as assert } from "node:assert";
import { Attr, attribute } from "@culvert/stun";
import {
  type AllocationSnapshot,
  type Alternate,
  type Answer,
  type Authenticator,
  type ClientTuple,
  type CredentialResolution,
  type Mobility,
  type PeerPolicy,
  type PortRange,
  parsePeerPolicy,
  type SlotConfig,
  type TurnServerConfig,
} from "@culvert/turn";
import { RelayTableModel } from "./relay-table-model.ts";
import type { RequestChanges } from "./stun-session.ts";

type Some<T> = readonly [T, ...T[]];

export const START: number = Date.UTC(2026, 0, 1);
export const PORTS: PortRange = { min: 50_000, max: 50_007 };
export const MAX_LIFETIME_SECONDS = 3600;
export const RELAY4: { readonly ip: string; readonly external: string } = { ip: "10.0.0.5", external: "198.51.100.1" };
export const RELAY6 = "2001:db8:ffff::1";
/** The relayed ports in slots. */
export const SLOTS: Some<Omit<SlotConfig, "lease">> = [
  { slot: "a", ...RELAY4, ports: { min: PORTS.min, max: PORTS.min + 3 } },
  { slot: "b", ...RELAY4, ports: { min: PORTS.min + 4, max: PORTS.max } },
  { slot: "c", ip: RELAY6, ports: PORTS },
];
export const LISTENER = "198.51.100.7";

/** Loopback, metadata, private, multicast, embedded, an own listener: nothing may ever go there. */
export const FORBIDDEN: Some<string> = [
  "127.0.0.1",
  "169.254.169.254",
  "192.168.1.1",
  "::1",
  "::ffff:127.0.0.1",
  "64:ff9b::a00:1",
  LISTENER,
];
export const ALLOWED: Some<string> = ["9.9.9.9", "9.9.9.10", RELAY4.external, "2600::9", RELAY6];
export const IPS: Some<string> = [...ALLOWED, ...FORBIDDEN, RELAY4.ip];
export const PEER_PORTS: Some<number> = [5000, PORTS.min, PORTS.min + 1, PORTS.min, 3478, 0];
export const CHANNELS: Some<number> = [0x4000, 0x4001, 0x4000, 0x4001, 0x4fff, 0x3fff];
export const LIFETIMES: Some<number> = [600, 1, 1800, 100_000, 600, 0];
export const SHORT_STEPS: Some<number> = [1, 20, 500, 2000];
export const LONG_STEPS: Some<number> = [3000, 30_000, 60_000, 299_999, 600_000, 3_600_000];
export const USERS: Some<string> = ["alice", "bob", "asked", "expiring"];
export const CLIENTS: Some<ClientTuple> = [
  { listener: 1, remote: { ip: "8.8.1.1", port: 1000 } },
  { listener: 1, remote: { ip: "8.8.1.1", port: 1001 } },
  { listener: 2, remote: { ip: "8.8.1.2", port: 1000 } },
  { listener: 3, remote: { ip: "2600::1", port: 1000 } },
];

/** Mostly with mobility. */
export const MOBILITIES: Some<Mobility> = ["allowed", "allowed", "allowed", "ignored", "forbidden"];
/** Some for nobody here. */
export const ALTERNATES: Some<readonly Alternate[]> = [
  [],
  [{ ip: "9.8.8.8", port: 3478 }],
  [
    { ip: "2600::8", port: 3478 },
    { ip: "9.8.8.8", port: 443, transport: "tcp" },
  ],
];

/** What is wrong with a request, by one byte: mostly nothing. */
export const CHANGES: readonly RequestChanges[] = [
  { password: "wrong" },
  { nonce: "stale" },
  { realm: "elsewhere" },
  { fingerprint: true },
  { algorithmAttributes: [attribute(Attr.PasswordAlgorithms, [])] },
  { integrity: "sha256" },
];

export const KNOWN: Answer = {
  kind: "known",
  claims: { tenant: "acme", user: "asked" },
  candidates: [{ password: "secret" }],
};

export const ANSWERS: Some<Answer> = [
  KNOWN,
  { kind: "granted" },
  { kind: "refused" },
  { kind: "elsewhere" },
  { kind: "stale" },
  { kind: "rejected", reason: "fuzz" },
  { kind: "unavailable" },
];

export const AUTHENTICATOR: Authenticator = {
  resolve: ({ username = "" }): CredentialResolution => {
    if (username === "asked") return { kind: "ask" };
    return {
      kind: "known",
      claims: { tenant: "acme", user: username, ...(username === "bob" ? { maxBps: 4 } : {}) },
      candidates: [{ password: "secret" }],
      ...(username === "expiring" ? { expiresAt: START + 700_000 } : {}),
    };
  },
};

export function policyOf(deny: readonly string[]): PeerPolicy {
  const result = parsePeerPolicy({ deny });
  assert(result.ok);
  return result.policy;
}

/** What all servers of a game have in common. */
export const WORLD: TurnServerConfig = {
  realm: "fuzz",
  listeners: [
    { id: 1, transport: "udp", address: { ip: LISTENER, port: 3478 } },
    { id: 2, transport: "tcp", address: { ip: LISTENER, port: 3478 } },
    { id: 3, transport: "udp", address: { ip: LISTENER, port: 3479 } },
  ],
  relays: [
    { ...RELAY4, ports: PORTS },
    { ip: RELAY6, ports: PORTS },
  ],
  nonceKeys: [new Uint8Array(32)],
  nonceLifetimeSeconds: 1200,
  maxLifetimeSeconds: MAX_LIFETIME_SECONDS,
  policy: policyOf([]),
};

/** The table of a data plane that was just started. */
export function emptyTable(before?: RelayTableModel): RelayTableModel {
  const rules = {
    ports: PORTS,
    maxLifetimeMs: MAX_LIFETIME_SECONDS * 1000,
    forbidden: new Set(FORBIDDEN),
  };
  return new RelayTableModel(rules, before);
}

/** Undefined where the damage left no JSON. */
export function readSnapshot(text: string): AllocationSnapshot | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
