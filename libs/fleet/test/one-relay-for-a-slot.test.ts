import { cutSlots, leaseTimes } from "@culvert/fleet";
import { seededRandom } from "@culvert/testkit";
import { expect, test } from "vitest";
import { type NodeSpec, World } from "./simulation.ts";

const TIMES = leaseTimes(3_000, 30_000);
const OWN: Readonly<Record<string, readonly string[]>> = {
  a: cutSlots({ ip: "192.0.2.1", min: 50_000, max: 50_099 }, 50),
  b: cutSlots({ ip: "192.0.2.2", min: 50_000, max: 50_099 }, 50),
  c: [],
};
const ALL = Object.values(OWN).flat();
const IPS = ["192.0.2.1", "192.0.2.2"];
const NAMES = ["a", "b", "c"] as const;

/** Faults at random for ten minutes. Every relay has every relayed address, so that each may take any slot. */
async function chaos(seed: number): Promise<World> {
  const random = seededRandom(seed);
  const slow = random.chance(0.2);
  const world = new World({
    times: TIMES,
    random,
    delay: () => (random.chance(0.05) ? random.int(600) : 1 + random.int(slow ? 250 : 10)),
  });
  let hosts = 0;
  const specOf = (name: string): NodeSpec => ({
    identity: name,
    host: random.chance(0.5) ? `host-${name}` : `host-${++hosts}`,
    own: OWN[name] ?? [],
    ips: IPS,
    clockError: random.int(100) - 50,
    rate: 1 + (random.int(200) - 100) / 1e6,
  });
  for (const name of NAMES) world.start(name, specOf(name));
  await world.run(10_000);

  const during = (milliseconds: number, begin: () => void, end: () => void): void => {
    begin();
    world.at(milliseconds, end);
  };
  const anyone = () => random.pick(NAMES);
  const faults: readonly ((length: number) => void)[] = [
    (length) => {
      const node = world.nodes.get(anyone());
      if (node === undefined) return;
      during(
        length,
        () => {
          node.link = random.chance(0.5) ? "silent" : "refused";
          if (node.link === "refused") node.input(() => node.keeper.handleDisconnected(node.clock));
        },
        () => {
          node.link = "up";
        },
      );
    },
    (length) => {
      const [one, other] = [anyone(), anyone()];
      during(
        length,
        () => world.cut(one, other, true),
        () => world.cut(one, other, false),
      );
    },
    (length) => world.nodes.get(anyone())?.stall(length / 2),
    (length) => {
      const name = anyone();
      world.nodes.get(name)?.kill();
      world.at(random.chance(0.3) ? 50 : length, () => world.start(name, specOf(name)));
    },
    (length) =>
      during(
        length,
        () => {
          world.storeUp = false;
        },
        () => {
          world.storeUp = true;
        },
      ),
    () => world.fleet.flush(),
    () => {
      world.fleet.failOver();
      for (const node of world.nodes.values()) node.input(() => node.keeper.handleDisconnected(node.clock));
    },
    () => {
      const node = world.nodes.get(anyone());
      const slot = random.pick(["192.0.2.1/50000-50049", "192.0.2.2/50050-50099"]);
      const to = random.chance(0.5) ? anyone() : undefined;
      node?.input(() => node.keeper.release(slot, to, node.clock));
    },
  ];
  for (let fault = 0; fault < 60; fault++) {
    const [first, ...rest] = faults;
    if (first !== undefined) random.pick([first, ...rest])(random.int(15_000));
    await world.run(random.int(6_000));
  }
  return world;
}

test("no two hosts ever relay for one slot, whatever is cut off, stalled, killed, emptied or handed over", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { violations } = await chaos(seed);
    expect(violations, `seed ${seed}`).toEqual([]);
  }
}, 60_000);

test("once the faults are over every slot is held by exactly one relay", async () => {
  for (let seed = 101; seed <= 110; seed++) {
    const world = await chaos(seed);
    world.storeUp = true;
    for (const one of NAMES) {
      for (const other of NAMES) world.cut(one, other, false);
      const node = world.nodes.get(one);
      if (node !== undefined) node.link = "up";
    }
    await world.run(20_000 + TIMES.outage + 3 * TIMES.ttl);
    for (const slot of ALL) {
      expect(
        world.relaying(slot).map(({ spec }) => spec.identity),
        `seed ${seed}, ${slot}`,
      ).toHaveLength(1);
    }
  }
}, 60_000);
