import { leaseTimes } from "@culvert/fleet";
import { createMemoryFleet } from "@culvert/state";
import { createLogger } from "@culvert/telemetry";
import { manualClock } from "@culvert/testkit";
import { expect, test, vi } from "vitest";
import { FleetTime } from "../src/fleet/fleet-time.ts";
import { LeaseLoop, type SlotSink } from "../src/fleet/lease-loop.ts";

const SLOT = "192.0.2.1/50000-50099";
const SELF = { identity: "relay-a", instance: "0a".repeat(16), host: "host-a" };
/** By how much the relay's clock is ahead. */
const AHEAD = 300_000;
const ENTRY = { turn: [], load: { allocations: 0, capacity: 100, draining: false }, startedAt: 0 };

function loopOn() {
  const clock = manualClock();
  const fleet = createMemoryFleet(clock.now);
  const store = fleet.connect();
  const logger = createLogger({ service: "relay", level: "silent" });
  const time = new FleetTime(() => clock.now() + AHEAD);
  const slots: SlotSink = {
    deadline: () => {},
    gained: () => {},
    lost: () => {},
    lapsed: () => {},
    resumed: () => {},
    displaced: () => {},
    republish: () => {},
  };
  const loop = new LeaseLoop({
    store,
    self: SELF,
    times: leaseTimes(3_000, 60_000),
    failover: "identity",
    maxSlots: undefined,
    time,
    logger,
    entry: () => ENTRY,
    slots,
    fleet: { beat: () => {}, view: () => {}, renewed: () => {} },
  });
  /** The store goes, and comes back a second later. */
  const flap = async (): Promise<void> => {
    fleet.setConnected(store, false);
    await answered();
    clock.advance(1_000);
    fleet.setConnected(store, true);
    await answered();
  };
  return { flap, store, loop, begin: () => time.set(store, logger, new AbortController().signal) };
}

/** All that the store was asked for has been answered, and what followed from that. */
const answered = async (): Promise<void> => {
  for (let turns = 0; turns < 10; turns++) await new Promise(setImmediate);
};

test("while it does not know the time it tells the store nothing, however often that comes and goes", async () => {
  const { flap, store, loop } = loopOn();
  await flap();
  await flap();
  expect(await store.relays()).toEqual([]);
  expect(loop.reachesStore).toBe(false);
  await loop.stop();
});

test("a relay whose clock is ahead asks for its slots at once, though the store came and went before", async () => {
  const { flap, store, loop, begin } = loopOn();
  const acquire = vi.spyOn(store, "acquire");
  await flap();
  await begin();
  loop.start({ own: [SLOT], ips: new Set() });
  await answered();
  expect(acquire).toHaveBeenCalled();
  await loop.stop();
});
