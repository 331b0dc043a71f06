import { ContractError, fromWatchKeysResponse, toWatchKeysResponse, WatchKeysResponse } from "@culvert/contracts";
import type { KeyUpdate } from "@culvert/credentials";
import fc from "fast-check";
import { expect, it } from "vitest";

const id = fc.string({ minLength: 1 });
const seconds = fc.integer({ min: 1, max: 2 ** 40 });
const key = fc.record(
  {
    tenant: id,
    kid: id,
    secret: fc.uint8Array({ minLength: 1 }),
    state: fc.constantFrom("active" as const, "retiring" as const),
    notAfter: seconds,
  },
  { requiredKeys: ["tenant", "kid", "secret", "state"] },
);
const revocation = fc.record({
  tenant: id,
  subject: fc.oneof(
    fc.record({ kind: fc.constant("username" as const), username: fc.string() }),
    fc.record({ kind: fc.constant("user" as const), user: fc.string() }),
  ),
  revokedAt: seconds,
  expiresAt: seconds,
});
const change = fc.oneof(
  fc.record({ type: fc.constant("key-changed" as const), key }),
  fc.record({ type: fc.constant("key-removed" as const), tenant: id, kid: id }),
  fc.record({ type: fc.constant("revoked" as const), revocation }),
);
const revision = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const update: fc.Arbitrary<KeyUpdate> = fc.oneof(
  fc.record({ revision, change }),
  fc.record({ revision, snapshot: fc.record({ keys: fc.array(key), revocations: fc.array(revocation) }) }),
);

it("bring every update over the wire as it was", () => {
  fc.assert(
    fc.property(update, (sent) => {
      const bytes = WatchKeysResponse.encode(toWatchKeysResponse(sent)).finish();
      expect(fromWatchKeysResponse(WatchKeysResponse.decode(bytes))).toEqual(sent);
    }),
  );
});

it("refuse messages that lack what makes them one, and let unknown ones pass", () => {
  const empty = WatchKeysResponse.fromPartial({ change: { $case: "keyChanged", value: {} } });
  expect(() => fromWatchKeysResponse(empty)).toThrow(ContractError);
  const nobody = WatchKeysResponse.fromPartial({ change: { $case: "revoked", value: { tenant: "a" } } });
  expect(() => fromWatchKeysResponse(nobody)).toThrow(ContractError);
  expect(fromWatchKeysResponse(WatchKeysResponse.fromPartial({ revision: 1n }))).toBeUndefined();
});

it("do not sign with a key whose state is of a later version", () => {
  const value = { tenant: "a", kid: "k", secret: Buffer.from("x"), state: 2 } as const;
  const message = WatchKeysResponse.fromPartial({ change: { $case: "keyChanged", value: { ...value, state: -1 } } });
  expect(fromWatchKeysResponse(message)).toMatchObject({ change: { key: { state: "retiring" } } });
});
