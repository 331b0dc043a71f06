import { Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { startPeer, startRelay } from "./harness.ts";
import { peerAttribute, UDP_TRANSPORT } from "./requests.ts";
import { relayedOf, Wire } from "./wire.ts";

/** Pearson's statistic of how often each of `bins` values came. */
function chiSquare(values: readonly number[], bins: number): number {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  const expected = values.length / bins;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

test("transaction ids of Data indications are never the same, and uniform byte by byte", async () => {
  const relay = await startRelay();
  const peer = await startPeer({ echo: false });
  const wire = await Wire.open(relay);
  const relayed = relayedOf(await wire.request(Method.Allocate, [UDP_TRANSPORT]));
  await wire.request(Method.CreatePermission, [peerAttribute(peer.address)]);
  await wire.settled();
  const ids: string[] = [];
  while (ids.length < 2000) {
    for (let index = 0; index < 20; index++) peer.send(relayed, "x");
    for (let arrived = 0; arrived < 20; ) {
      const messages = await wire.arrival();
      arrived += messages.length;
      ids.push(...messages.map((message) => message.toString("hex", 8, 20)));
    }
  }
  expect(new Set(ids).size).toBe(ids.length);
  const bytes = ids.flatMap((id) => [...Buffer.from(id, "hex")]);
  // 255 degrees of freedom: above 400 less than once in ten million runs.
  expect(chiSquare(bytes, 256)).toBeLessThan(400);
});

test("what the relay draws at random differs from one start to the next", async () => {
  const draws: string[] = [];
  for (let start = 0; start < 5; start++) {
    const relay = await startRelay();
    const wire = await Wire.open(relay);
    draws.push(String(relayedOf(await wire.request(Method.Allocate, [UDP_TRANSPORT])).port));
  }
  // Five equal ports of 16,384 by chance: once in 10^16 runs.
  expect(new Set(draws).size).toBeGreaterThan(1);
});
