import { cutSlots, type KeeperOutput, leaseTimes, SlotKeeper } from "@culvert/fleet";
import { seededRandom } from "@culvert/testkit";
import { expect, test } from "vitest";
import { type NodeSpec, START, World } from "./simulation.ts";

const TIMES = leaseTimes(3_000, 120_000);
const SLOTS = cutSlots({ ip: "192.0.2.1", min: 50_000, max: 50_199 }, 100);
const A: NodeSpec = { identity: "a", host: "host-a", own: SLOTS };
const B: NodeSpec = { identity: "b", host: "host-b", own: [], ips: ["192.0.2.1"] };

function world(): World {
  return new World({ times: TIMES, random: seededRandom(1) });
}

async function pair(): Promise<World> {
  const it = world();
  it.start("a", A);
  it.start("b", B);
  await it.until(() => SLOTS.every((slot) => it.nodes.get("a")?.relays(slot)), 4_000);
  await it.run(10_000);
  return it;
}

const holders = (it: World): string[] =>
  SLOTS.map((slot) =>
    it
      .relaying(slot)
      .map(({ spec }) => spec.identity)
      .join(" "),
  );
const happened = (it: World, name: string, type: KeeperOutput["type"]): number =>
  it.nodes.get(name)?.log.filter((output) => output.type === type).length ?? 0;

test("a relay killed and started again on its host has its slots back at once", async () => {
  const it = await pair();
  it.start("a", A);
  expect(await it.until(() => holders(it).join() === "a,a", 1_000)).toBeLessThan(150);
});

test("a lost slot is taken by a relay that has its address, within a lease's time and two looks", async () => {
  const it = await pair();
  it.nodes.get("a")?.kill();
  const took = await it.until(() => holders(it).join() === "b,b", 10_000);
  expect(took).toBeLessThan(TIMES.ttl + 2 * TIMES.interval + 50);
  const gained = it.nodes.get("b")?.log.find((output) => output.type === "gained");
  expect(gained).toMatchObject({ previous: { identity: "a" } });
});

test("where slots stay with their identity nobody else takes them", async () => {
  const it = world();
  it.start("a", { ...A, failover: "identity" });
  it.start("b", { ...B, failover: "identity" });
  await it.run(10_000);
  it.nodes.get("a")?.kill();
  await it.run(300_000);
  expect(holders(it)).toEqual(["", ""]);
});

test("while the store is down for all, the owner goes on without a break", async () => {
  const it = await pair();
  it.storeUp = false;
  await it.run(60_000);
  it.storeUp = true;
  await it.run(10_000);
  expect(happened(it, "a", "lapsed")).toBe(0);
  expect(holders(it)).toEqual(["a", "a"]);
});

test("an owner that nobody else could hear stops once the outage has lasted too long", async () => {
  const it = world();
  it.start("a", A);
  await it.run(10_000);
  it.storeUp = false;
  await it.run(TIMES.outage - 2_000);
  expect(holders(it)).toEqual(["a", "a"]);
  await it.run(4_000);
  expect(holders(it)).toEqual(["", ""]);
});

test("a relay that alone is cut off from the store stops before another one starts, and takes the slots back", async () => {
  const it = await pair();
  const a = it.nodes.get("a");
  if (a === undefined) throw new Error("no relay");
  a.link = "silent";
  const stopped = await it.until(() => holders(it).join() === ",", 10_000);
  expect(stopped).toBeLessThan(TIMES.ttl);
  await it.until(() => holders(it).join() === "b,b", 10_000);
  a.link = "up";
  await it.run(5_000);
  expect(happened(it, "a", "lost")).toBe(2);
  expect(it.violations).toEqual([]);
});

test("a relay cut off where nobody can take its slots resumes with them", async () => {
  const it = world();
  it.start("a", A);
  it.start("b", { ...B, ips: [] });
  await it.run(10_000);
  const a = it.nodes.get("a");
  if (a === undefined) throw new Error("no relay");
  a.link = "silent";
  await it.run(20_000);
  expect(holders(it)).toEqual(["", ""]);
  a.link = "up";
  expect(await it.until(() => holders(it).join() === "a,a", 5_000)).toBeLessThan(1_000);
  expect(happened(it, "a", "lost")).toBe(0);
  expect(happened(it, "a", "resumed")).toBe(2);
});

test("a relay whose leases lapse while it takes them knows it when it has them all", () => {
  const self = { identity: "a", instance: "a1", host: "host-a" };
  const keeper = new SlotKeeper({ ...self, times: TIMES, failover: "identity" });
  const outputs = (): KeeperOutput[] => {
    const all: KeeperOutput[] = [];
    for (let output = keeper.pollOutput(); output !== undefined; output = keeper.pollOutput()) all.push(output);
    return all;
  };
  const acquired = (epoch: number, now: number): void => {
    for (const output of outputs()) {
      if (output.type !== "acquire") continue;
      keeper.handleAcquired(output, { ok: true, lease: { slot: output.slot, epoch } }, now);
    }
  };
  keeper.start({ own: SLOTS, ips: new Set() }, START);
  const [renewal] = outputs();
  if (renewal?.type !== "renew") throw new Error("no renewal");
  keeper.handleRenewed(renewal.id, { lost: [], reasserted: [], generation: "g" }, START + 1);
  keeper.handleView({ relays: [], slots: [] }, START + 1, START + 2);
  acquired(1, START + 3);
  expect(keeper.settled).toBe(true);

  const later = START + TIMES.ttl + 100;
  keeper.handleTimeout(later);
  expect(outputs().filter(({ type }) => type === "lapsed")).toHaveLength(SLOTS.length);
  const slots = SLOTS.map((slot) => ({ slot, ...self, epoch: 1, expiresInMs: -100 }));
  keeper.handleView({ relays: [], slots }, later, later + 1);
  expect(keeper.settled).toBe(false);
  acquired(2, later + 2);
  expect([...keeper.held()].every(({ lapsed }) => !lapsed)).toBe(true);
  expect(keeper.settled).toBe(true);
});

test("a peer that is not heard may reach the store: no lease is extended on its silence", async () => {
  const it = await pair();
  it.cut("a", "b", true);
  it.storeUp = false;
  await it.run(TIMES.ttl);
  expect(holders(it)).toEqual(["", ""]);
});

test("a stopped process relays nothing past its lease, and knows it when it goes on", async () => {
  const it = await pair();
  it.nodes.get("a")?.stall(30_000);
  await it.run(TIMES.ttl);
  expect(it.nodes.get("a")?.relays(SLOTS[0] ?? "")).toBe(false);
  await it.run(30_000);
  expect(holders(it)).toEqual(["b", "b"]);
  expect(happened(it, "a", "lost")).toBe(2);
  expect(it.violations).toEqual([]);
});

test("after the store was emptied owners assert their slots and write everything again", async () => {
  const it = await pair();
  const before = happened(it, "a", "republish");
  it.fleet.flush();
  await it.run(2_000);
  expect(happened(it, "a", "republish")).toBeGreaterThan(before);
  expect(happened(it, "a", "lapsed")).toBe(0);
  expect(holders(it)).toEqual(["a", "a"]);
});

test("a slot handed over is taken at once by whom it was handed to", async () => {
  const it = await pair();
  const a = it.nodes.get("a");
  a?.input(() => {
    for (const slot of SLOTS) a.keeper.release(slot, "b", a.clock);
  });
  await it.run(50);
  const b = it.nodes.get("b");
  b?.input(() => b.keeper.look(b.clock));
  expect(await it.until(() => holders(it).join() === "b,b", 1_000)).toBeLessThan(100);
});

test("a slot whose address left the host is given up", async () => {
  const it = await pair();
  const a = it.nodes.get("a");
  a?.input(() => a.keeper.setReach({ own: SLOTS, ips: new Set() }, a.clock));
  expect(await it.until(() => holders(it).join() === "b,b", 2_000)).toBeLessThan(1_000);
});

test("a relay that vanishes with all who knew it is waited for as long as it could go on", async () => {
  const it = world();
  it.start("a", A);
  await it.run(10_000);
  it.nodes.get("a")?.kill();
  const died = it.now;
  it.start("b", B);
  await it.until(() => holders(it).join() === "b,b", TIMES.outage + 10_000);
  expect(it.now - died).toBeGreaterThan(TIMES.outage);
});

test("no more free slots are taken than are allowed", async () => {
  const it = world();
  it.start("a", { ...A, maxSlots: 1 });
  await it.run(10_000);
  expect(holders(it)).toEqual(["a", ""]);
  it.start("b", { ...A, identity: "b", host: "host-b", maxSlots: 1 });
  await it.run(10_000);
  expect(holders(it).sort()).toEqual(["a", "b"]);
  expect(it.now).toBeGreaterThan(START);
});
