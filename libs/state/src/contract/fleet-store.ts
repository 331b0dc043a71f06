import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FleetStore, StoreHealth } from "../fleet/port.ts";
import { StoreUnavailable } from "../store-unavailable.ts";
import { describeLeases } from "./fleet-leases.ts";
import { describeListing } from "./fleet-listing.ts";
import { describeQuotas } from "./fleet-quotas.ts";
import { describeRecords } from "./fleet-records.ts";
import { TTL } from "./fleet-samples.ts";

/** For `vi.waitFor`: the test's own time limit is to be the one that counts. */
const SOON = { timeout: 30_000, interval: 10 };

/** One place of storage under test. */
export interface FleetStoreFixture {
  /** A store of its own on the same storage: what another relay would hold. */
  connect(): Promise<FleetStore>;
  /** Cuts one store off from the storage (`false`), or joins it again. */
  setConnected(store: FleetStore, connected: boolean): Promise<void>;
  /** Lets time pass, at the storage's own clock. Negative: sets the clock back. */
  elapse(ms: number): Promise<void>;
  /** Empties the storage. */
  flush(): Promise<void>;
  dispose(): Promise<void>;
}

/** What the parts of the contract work with. */
export interface FleetStoreWorld {
  readonly store: FleetStore;
  /** Another relay's. */
  readonly other: FleetStore;
  elapse(ms: number): Promise<void>;
  flush(): Promise<void>;
  /** Lets time pass as it does where relays renew every third of a lease's time. */
  live(ms: number): Promise<void>;
}

/** What every implementation of {@link FleetStore} does. Run it inside a vitest file. */
export function describeFleetStoreContract(name: string, create: () => Promise<FleetStoreFixture>): void {
  describe(`FleetStore contract: ${name}`, () => {
    let fixture: FleetStoreFixture;
    let world: FleetStoreWorld;

    beforeEach(async () => {
      fixture = await create();
      const store = await fixture.connect();
      const other = await fixture.connect();
      const witness = {
        identity: "witness",
        instance: "w0",
        host: "w",
        turn: [],
        load: { allocations: 0, capacity: 0, draining: false },
        startedAt: 0,
        sentAt: 0,
        contact: [],
      };
      const live = async (ms: number): Promise<void> => {
        for (let left = ms; left > 0; left -= TTL / 3) {
          await fixture.elapse(Math.min(left, TTL / 3));
          await other.renew(witness, [], TTL);
        }
      };
      world = {
        store,
        other,
        elapse: (ms) => fixture.elapse(ms),
        flush: () => fixture.flush(),
        live,
      };
      // What is stored is trusted from one lease's time on.
      await other.renew(witness, [], TTL);
      await live(TTL);
    });
    afterEach(() => fixture.dispose());

    describeLeases(() => world);
    describeRecords(() => world);
    describeQuotas(() => world);
    describeListing(() => world);

    it("tells its time, in whole milliseconds", async () => {
      const before = await world.store.time();
      const after = await world.other.time();
      expect(Number.isSafeInteger(before)).toBe(true);
      expect(after).toBeGreaterThanOrEqual(before);
    });

    it("says that it does not answer, refuses at once meanwhile, and goes on afterwards", async () => {
      const { store, other } = world;
      const told: StoreHealth[] = [];
      store.onHealthChange((health) => told.push(health));
      expect(store.health()).toEqual({ up: true });

      await fixture.setConnected(store, false);
      await vi.waitFor(() => expect(told).toMatchObject([{ up: false }]), SOON);
      await expect(store.time()).rejects.toThrow(StoreUnavailable);
      await expect(store.byTuple("x")).rejects.toThrow(StoreUnavailable);
      await other.time();

      await fixture.setConnected(store, true);
      await vi.waitFor(() => expect(told).toMatchObject([{ up: false }, { up: true }]), SOON);
      await store.time();
    });

    it("answers nothing after it was closed", async () => {
      await world.store.close();
      await expect(world.store.time()).rejects.toThrow(StoreUnavailable);
      expect(world.store.health().up).toBe(false);
      await world.store.close();
    });
  });
}
