import { USAGE_LOST, type UsageCounters, type UsageEvent, UsageMeter, UsageTotals } from "@culvert/events";
import { usageEvent } from "@culvert/events/contract";
import { manualClock } from "@culvert/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const counters = (bytes: number): UsageCounters => ({
  packetsToPeers: bytes / 100,
  bytesToPeers: bytes,
  packetsToClient: bytes / 100,
  bytesToClient: bytes,
});

/** A relay process: it meters one allocation and knows nothing of the processes before it. */
function relay(identity: string, events: UsageEvent[], totals: { bytes: number }): UsageMeter {
  const log = { append: (event: UsageEvent) => void events.push(event) };
  return new UsageMeter({ log, relay: identity, intervalMs: 60_000, read: () => counters(totals.bytes) });
}

describe("UsageTotals", () => {
  it("come out the same whatever comes twice or out of order", () => {
    const kinds = fc.constantFrom("start" as const, "interim" as const, "stop" as const);
    const events = fc.array(
      fc
        .record({ allocation: fc.constantFrom("a", "b"), sequence: fc.nat(50), kind: kinds })
        .map(({ allocation, sequence, kind }) =>
          usageEvent(sequence, {
            allocation,
            kind: sequence === 50 ? "stop" : kind === "stop" ? "interim" : kind,
            ...(sequence === 50 ? { reason: "expired" } : {}),
          }),
        ),
      { minLength: 1 },
    );
    const shuffled = events.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length })),
    );
    fc.assert(
      fc.property(shuffled, ([list, disordered]) => {
        const byId = new Map(list.map((event) => [`${event.allocation} ${event.sequence}`, event]));
        const [one, other] = [new UsageTotals(), new UsageTotals()];
        for (const event of byId.values()) one.add(event);
        for (const event of disordered) other.add(byId.get(`${event.allocation} ${event.sequence}`) ?? event);
        const sorted = (totals: UsageTotals) =>
          [...totals].toSorted((a, b) => a.allocation.localeCompare(b.allocation));
        expect(sorted(other)).toEqual(sorted(one));
        expect(other.sum("acme")).toEqual(one.sum("acme"));
      }),
    );
  });

  it("take it back that an allocation was lost when it lives after all, in any order", () => {
    const lost = usageEvent(5, { kind: "stop", reason: USAGE_LOST });
    for (const events of [
      [lost, usageEvent(6)],
      [usageEvent(6), lost],
    ]) {
      const totals = new UsageTotals();
      for (const event of events) totals.add(event);
      expect(totals.get("a")).not.toHaveProperty("stopped");
      totals.add(usageEvent(7, { kind: "stop", reason: "refresh" }));
      totals.add(lost);
      expect(totals.get("a")).toMatchObject({ stopped: "refresh" });
    }
    const totals = new UsageTotals();
    for (const event of [usageEvent(4), lost]) totals.add(event);
    expect(totals.get("a")).toMatchObject({ stopped: USAGE_LOST });
  });

  it("say whether an event told anything", () => {
    const totals = new UsageTotals();
    expect(totals.add(usageEvent(5))).toBe(true);
    expect(totals.add(usageEvent(5))).toBe(false);
    expect(totals.add(usageEvent(3))).toBe(false);
    expect(totals.add(usageEvent(4, { bytesToPeers: 10_000 }))).toBe(true);
    totals.delete("a");
    expect(totals.get("a")).toBeUndefined();
  });
});

describe("UsageMeter", () => {
  const clock = manualClock();
  const startedAt = clock.now();
  const subject = { allocation: "a", tenant: "acme", user: "alice", kid: "k1", startedAt };

  it("tells the start, an interim every minute and the stop, with totals", () => {
    const events: UsageEvent[] = [];
    const used = { bytes: 0 };
    const meter = relay("relay-0", events, used);
    meter.started(subject, startedAt);
    expect(meter.tick(startedAt + 59_999)).toBe(startedAt + 60_000);
    used.bytes = 500;
    expect(meter.tick(startedAt + 60_000)).toBe(startedAt + 120_000);
    used.bytes = 900;
    meter.stopped("a", "expired", startedAt + 61_000);
    expect(meter.tick(startedAt + 999_999)).toBeUndefined();
    meter.stopped("a", "expired", startedAt + 62_000);
    expect(events.map(({ kind, sequence, bytesToPeers, reason }) => [kind, sequence, bytesToPeers, reason])).toEqual([
      ["start", 0, 0, undefined],
      ["interim", 60_000, 500, undefined],
      ["stop", 61_000, 900, "expired"],
    ]);
    expect(events[1]).toEqual({
      ...{ v: 1, kind: "interim", allocation: "a", sequence: 60_000, at: startedAt + 60_000, startedAt },
      ...{ tenant: "acme", user: "alice", kid: "k1", relay: "relay-0", ...counters(500) },
    });
  });

  it("goes on after the death of a relay with greater sequences and totals that never sink", () => {
    const events: UsageEvent[] = [];
    const before = { bytes: 0 };
    const first = relay("relay-0", events, before);
    first.started(subject, startedAt);
    before.bytes = 6000;
    first.tick(startedAt + 60_000);
    // SIGKILL. What was written behind, and so restored, is older than the last interim.
    const after = { bytes: 5500 };
    const second = relay("relay-1", events, after);
    second.resumed(subject, startedAt + 61_500);
    after.bytes = 12_000;
    second.tick(startedAt + 121_500);
    after.bytes = 12_500;
    second.stopped("a", "refresh", startedAt + 125_000);
    const sequences = events.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(new Set(sequences).size).toBe(events.length);
    const totals = new UsageTotals();
    const seen = events.map((event) => {
      totals.add(event);
      return totals.get("a")?.bytesToPeers;
    });
    expect(seen).toEqual([0, 6000, 6000, 12_000, 12_500]);
    expect(totals.get("a")).toMatchObject({ stopped: "refresh", relay: "relay-1" });
  });

  it("hands an allocation over without a stop", () => {
    const events: UsageEvent[] = [];
    const used = { bytes: 100 };
    const [from, to] = [relay("relay-0", events, used), relay("relay-1", events, used)];
    from.started(subject, startedAt);
    from.released("a", startedAt + 10);
    to.resumed(subject, startedAt + 10);
    expect(from.size).toBe(0);
    expect(events.map(({ kind }) => kind)).toEqual(["start", "interim", "interim"]);
    expect(from.tick(startedAt + 100_000)).toBeUndefined();
    expect(to.tick(startedAt + 60_010)).toBe(startedAt + 120_010);
  });

  it("keeps all allocations at their own minute", () => {
    const events: UsageEvent[] = [];
    const meter = relay("relay-0", events, { bytes: 0 });
    for (let index = 0; index < 100; index++) {
      meter.started(
        { ...subject, allocation: `a${index}`, startedAt: startedAt + index * 600 },
        startedAt + index * 600,
      );
    }
    events.length = 0;
    let due = meter.tick(startedAt + 59_999);
    for (let now = startedAt + 60_000; now <= startedAt + 119_999; now += 600) {
      if (due !== undefined && due <= now) due = meter.tick(now);
    }
    expect(new Set(events.map(({ allocation }) => allocation)).size).toBe(100);
    expect(events).toHaveLength(100);
  });
});
