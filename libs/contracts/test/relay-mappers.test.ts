import {
  type AllocationChange,
  type AllocationStatus,
  ContractError,
  fromWatchAllocationsResponse,
  fromWireFilter,
  fromWireRelay,
  type RelayStatus,
  toWatchAllocationsResponse,
  toWireFilter,
  toWireRelay,
  WatchAllocationsResponse,
} from "@culvert/contracts";
import fc from "fast-check";
import { expect, it } from "vitest";

const text = fc.string({ minLength: 1 });
const count = fc.maxSafeNat();
const millis = fc.integer({ min: 0, max: 2 ** 42 });
const endpoint = fc.record({ ip: text, port: fc.integer({ min: 1, max: 65_535 }) });
const relayed = fc.record({
  address: endpoint,
  expiresAt: millis,
  permissions: fc.array(fc.record({ ip: text, expiresAt: millis }), { maxLength: 3 }),
  channels: fc.array(
    fc.record({ number: fc.integer({ min: 0x4000, max: 0x4fff }), peer: endpoint, expiresAt: millis }),
    {
      maxLength: 3,
    },
  ),
});
const allocation: fc.Arbitrary<AllocationStatus> = fc.record(
  {
    id: text,
    relay: text,
    tenant: text,
    user: text,
    username: text,
    kid: text,
    transport: fc.constantFrom("udp" as const, "tcp" as const, "tls" as const, "dtls" as const),
    client: endpoint,
    createdAt: millis,
    relayed: fc.array(relayed, { maxLength: 2 }),
    traffic: fc.record({
      packetsToPeers: count,
      bytesToPeers: count,
      packetsToClient: count,
      bytesToClient: count,
      readAt: millis,
    }),
  },
  {
    requiredKeys: [
      "id",
      "relay",
      "tenant",
      "user",
      "username",
      "transport",
      "client",
      "createdAt",
      "relayed",
      "traffic",
    ],
  },
);
const change: fc.Arbitrary<AllocationChange> = fc.oneof(
  fc.record({
    type: fc.constant("snapshot" as const),
    allocations: fc.array(allocation, { maxLength: 3 }),
    first: fc.boolean(),
    last: fc.boolean(),
  }),
  fc.record({ type: fc.constantFrom("created" as const, "refreshed" as const), allocation }),
  fc.record({ type: fc.constant("deleted" as const), allocation, reason: text }),
);
const relay: fc.Arbitrary<RelayStatus> = fc.record({
  identity: text,
  state: fc.constantFrom("serving" as const, "draining" as const),
  startedAt: millis,
  allocations: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  capacity: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  turn: fc.array(endpoint, { maxLength: 3 }),
  slots: fc.array(text, { maxLength: 3 }),
});

it("bring every change over the wire as it was", () => {
  fc.assert(
    fc.property(change, (sent) => {
      const bytes = WatchAllocationsResponse.encode(toWatchAllocationsResponse(sent)).finish();
      expect(fromWatchAllocationsResponse(WatchAllocationsResponse.decode(bytes))).toEqual(sent);
    }),
  );
});

it("bring relays and filters over the wire as they were", () => {
  fc.assert(
    fc.property(relay, (sent) => {
      expect(fromWireRelay(toWireRelay(sent))).toEqual(sent);
    }),
  );
  const filter = fc.record({ tenant: text, user: text, relay: text }, { requiredKeys: [] });
  fc.assert(
    fc.property(filter, (sent) => {
      expect(fromWireFilter(toWireFilter(sent))).toEqual(sent);
    }),
  );
  expect(fromWireFilter(undefined)).toEqual({});
});

it("refuse messages that lack what makes them one, and let unknown ones pass", () => {
  expect(() => fromWireRelay(undefined)).toThrow(ContractError);
  for (const value of [{}, { id: "a" }]) {
    const message = WatchAllocationsResponse.fromPartial({ change: { $case: "created", value } });
    expect(() => fromWatchAllocationsResponse(message)).toThrow(ContractError);
  }
  const nothing = WatchAllocationsResponse.fromPartial({ change: { $case: "deleted", value: { reason: "x" } } });
  expect(() => fromWatchAllocationsResponse(nothing)).toThrow(ContractError);
  expect(fromWatchAllocationsResponse(WatchAllocationsResponse.fromPartial({}))).toBeUndefined();
});
