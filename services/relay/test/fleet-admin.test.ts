import { createRelayClient } from "@culvert/contracts";
import { MemoryBroker } from "@culvert/events";
import { expect, test } from "vitest";
import { startFleet, startFleetRelay } from "./fleet-harness.ts";
import { later } from "./harness.ts";

const [A, B] = ["127.81.7.1", "127.81.7.2"];
const PAGE = { limit: 100 };
const TOKEN = "the-token-of-the-operators";

async function pair() {
  const fleet = startFleet();
  const broker = new MemoryBroker();
  const start = (identity: string, ip: string) =>
    startFleetRelay(fleet, {
      identity,
      ip,
      relay: { grpc: { port: 0, token: TOKEN } },
      bus: () => broker.connect(),
    });
  const [a, b] = [await start("relay-a", A), await start("relay-b", B)];
  const operator = createRelayClient({ target: `127.0.0.1:${a.info.grpc?.port}`, credentials: { token: TOKEN } });
  later(() => operator.close());
  return { a, b, operator };
}

test("an operator sees all relays and all allocations by way of any relay", async () => {
  const { a, b, operator } = await pair();
  for (const relay of [a, b, b]) await (await relay.connect("udp")).allocate();
  await expect
    .poll(async () =>
      (await operator.relays()).map(({ identity, allocations, slots }) => [identity, allocations, slots.length]),
    )
    .toEqual([
      ["relay-a", 1, 2],
      ["relay-b", 2, 2],
    ]);
  const { allocations } = await operator.list({}, PAGE);
  expect(allocations.map(({ relay }) => relay).sort()).toEqual(["relay-a", "relay-b", "relay-b"]);
  const { allocations: ofB } = await operator.list({ relay: "relay-b" }, PAGE);
  expect(ofB).toHaveLength(2);
  const id = ofB[0]?.id ?? "";
  expect((await operator.get(id)).relay).toBe("relay-b");
});

test("an allocation is ended wherever it lives, and what is not there is not found", async () => {
  const { b, operator } = await pair();
  await (await b.connect("udp")).allocate();
  const id = (await operator.list({}, PAGE)).allocations[0]?.id ?? "";
  await operator.terminate(id);
  expect(b.service.allocations()).toBe(0);
  await expect.poll(async () => (await operator.list({}, PAGE)).allocations.length).toBe(0);
  await expect(operator.terminate(id)).rejects.toMatchObject({ code: 5 });
});

test("a relay is drained and undrained by way of another; its clients are sent away meanwhile", async () => {
  const { a, b, operator } = await pair();
  expect((await operator.drain("relay-b")).state).toBe("draining");
  await expect
    .poll(async () => (await operator.relays()).find(({ identity }) => identity === "relay-b")?.state)
    .toBe("draining");
  const client = await b.connect("udp");
  await client.allocate();
  expect([a.service.allocations(), b.service.allocations()]).toEqual([1, 0]);
  expect((await operator.undrain("relay-b")).state).toBe("serving");
  const late = await b.connect("udp");
  await late.allocate();
  expect(b.service.allocations()).toBe(1);
  await expect(operator.drain("relay-z")).rejects.toMatchObject({ code: 5 });
});
