import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { UsageEvent } from "./event.ts";
import type { UsageLog } from "./port.ts";

/** One durable log under test. */
export interface UsageLogFixture {
  /** Opens the log once more; all see the same events. */
  open(): Promise<UsageLog>;
  dispose(): Promise<void>;
}

/** The test's own time limit is to be the one that counts. */
const PATIENCE_MS = 45_000;
const WAIT = { timeout: PATIENCE_MS, interval: 20 };

/** An event of allocation `a<number>` unless told otherwise. */
export function usageEvent(sequence: number, changes: Partial<UsageEvent> = {}): UsageEvent {
  return {
    v: 1,
    kind: sequence === 0 ? "start" : "interim",
    allocation: "a",
    sequence,
    at: 1_800_000_000_000 + sequence,
    startedAt: 1_800_000_000_000,
    tenant: "acme",
    user: "alice",
    relay: "relay-0",
    packetsToPeers: sequence,
    bytesToPeers: sequence * 100,
    packetsToClient: sequence * 2,
    bytesToClient: sequence * 200,
    ...changes,
  };
}

/** What every implementation of {@link UsageLog} does. Run it inside a vitest file. */
export function describeUsageLogContract(name: string, create: () => Promise<UsageLogFixture>): void {
  describe(`UsageLog contract: ${name}`, () => {
    let fixture: UsageLogFixture;
    let log: UsageLog;

    beforeEach(async () => {
      fixture = await create();
      log = await fixture.open();
    });

    afterEach(async () => {
      await log.close();
      await fixture.dispose();
    });

    const collect = async (from: UsageLog, options: { name: string; tenant?: string }) => {
      const events: UsageEvent[] = [];
      const follower = await from.follow(options, (event) => void events.push(event));
      return { events, follower };
    };

    it("hands every event, whole and in order, to each name of followers, before them and after", async () => {
      const first = usageEvent(0, { kid: "k1" });
      const last = usageEvent(61_000, { kind: "stop", reason: "expired", kid: "k1" });
      log.append(first);
      expect(await log.flush(PATIENCE_MS)).toBe(true);
      const one = await collect(log, { name: "billing" });
      const other = await collect(await fixture.open(), { name: "audit" });
      log.append(usageEvent(60_000));
      log.append(last);
      for (const { events } of [one, other]) {
        await expect.poll(() => events, WAIT).toEqual([first, usageEvent(60_000), last]);
      }
      expect(log.stats()).toEqual({ waiting: 0, stored: 3, dropped: 0, up: true });
    });

    it("stores an event once, however often it comes", async () => {
      const again = await fixture.open();
      for (let round = 0; round < 3; round++) {
        log.append(usageEvent(0));
        again.append(usageEvent(0));
        expect(await log.flush(PATIENCE_MS)).toBe(true);
        expect(await again.flush(PATIENCE_MS)).toBe(true);
      }
      log.append(usageEvent(1));
      const { events } = await collect(log, { name: "billing" });
      await expect.poll(() => events, WAIT).toEqual([usageEvent(0), usageEvent(1)]);
      await again.close();
    });

    it("shares the events among followers of one name, and goes on where they were", async () => {
      const sent = Array.from({ length: 40 }, (_, sequence) => usageEvent(sequence));
      const one = await collect(log, { name: "billing" });
      const two = await collect(log, { name: "billing" });
      for (const event of sent.slice(0, 20)) log.append(event);
      await expect.poll(() => one.events.length + two.events.length, WAIT).toBe(20);
      await one.follower.close();
      await two.follower.close();
      await two.follower.close();
      for (const event of sent.slice(20)) log.append(event);
      expect(await log.flush(PATIENCE_MS)).toBe(true);
      const three = await collect(log, { name: "billing" });
      await expect.poll(() => three.events.length, WAIT).toBe(20);
      const all = [...one.events, ...two.events, ...three.events];
      expect(all.toSorted((a, b) => a.sequence - b.sequence)).toEqual(sent);
    });

    it("brings an event again that was not handled, and reports why", async () => {
      const errors: unknown[] = [];
      log.onError((error) => errors.push(error));
      const seen: number[] = [];
      await log.follow({ name: "billing" }, async ({ sequence }) => {
        seen.push(sequence);
        if (sequence === 1 && seen.filter((each) => each === 1).length < 3) throw new Error("the database is away");
      });
      for (const sequence of [0, 1, 2]) log.append(usageEvent(sequence));
      await expect.poll(() => seen.toSorted(), WAIT).toEqual([0, 1, 1, 1, 2]);
      expect(errors).toEqual([new Error("the database is away"), new Error("the database is away")]);
    });

    it("hands on the events of one tenant, whatever its name is", async () => {
      const names = ["acme", "", "acme.x", "*", ">", "a b", "ä\r\n"];
      for (const [index, tenant] of names.entries()) log.append(usageEvent(0, { tenant, allocation: `a${index}` }));
      expect(await log.flush(PATIENCE_MS)).toBe(true);
      for (const [index, tenant] of names.entries()) {
        const { events } = await collect(log, { name: `of-${index}`, tenant });
        await expect.poll(() => events.map((event) => event.tenant), WAIT).toEqual([tenant]);
      }
    });

    it("refuses names that are none", async () => {
      for (const bad of ["", "a.b", "*", "a b", "x".repeat(65)]) {
        await expect(log.follow({ name: bad }, () => {})).rejects.toThrow(RangeError);
      }
    });

    it("ends its followers with itself and counts what comes later as lost", async () => {
      const { events } = await collect(log, { name: "billing" });
      log.append(usageEvent(0));
      await expect.poll(() => events.length, WAIT).toBe(1);
      await log.close();
      await log.close();
      log.append(usageEvent(1));
      expect(log.stats()).toMatchObject({ dropped: 1, up: false });
      expect(events).toHaveLength(1);
    });
  });
}
