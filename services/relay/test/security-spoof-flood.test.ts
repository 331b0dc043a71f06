import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { startRelay } from "./harness.ts";
import { UDP_TRANSPORT } from "./requests.ts";
import { Wire } from "./wire.ts";

const SOURCES = 50;
const BATCH = 50;
const ROUNDS = 5;

/** What lives on the heap and outside of it, in bytes, once all that can go is gone. */
function livingMemory(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test("a flood of Allocates from many sources leaves no state and no memory behind", async () => {
  const relay = await startRelay();
  const sources: Wire[] = [];
  for (let index = 0; index < SOURCES; index++) sources.push(await Wire.open(relay, { ip: `127.1.${index}.1` }));
  const round = async () => {
    for (const wire of sources) {
      for (let index = 0; index < BATCH; index++) wire.send(wire.session.bare(Method.Allocate, [UDP_TRANSPORT]));
      // Keeps the kernel's queue from dropping what is to be counted.
      await wire.settled();
    }
  };
  await round();
  const before = livingMemory();
  for (let index = 0; index < ROUNDS; index++) await round();
  const grown = livingMemory() - before;
  expect(await relay.metric("culvert_relay_auth_failures_total", { reason: "no-integrity" })).toBe(
    SOURCES * BATCH * (ROUNDS + 1),
  );
  expect(relay.service.allocations()).toBe(0);
  expect(await relay.metric("culvert_relay_relay_sockets")).toBe(0);
  console.info(`${SOURCES * BATCH * ROUNDS} Allocates: ${(grown / 1024).toFixed(0)} KiB more`);
  expect(grown).toBeLessThan(2 * 1024 * 1024);
});
