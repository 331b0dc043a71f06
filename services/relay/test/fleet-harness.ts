import { setTimeout as sleep } from "node:timers/promises";
import type { EventBus, UsageLog } from "@culvert/events";
import { createMemoryFleet, type FleetStore, type MemoryFleet } from "@culvert/state";
import type { Metrics } from "@culvert/telemetry";
import { expect } from "vitest";
import { later, startRelay, type TestRelay } from "./harness.ts";

export const SECRET = "the secret of the relays in the tests, long enough";

/** A fleet's state in this process, and the clock that all of it runs on. */
export interface TestFleet extends MemoryFleet {
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number;
}

export function startFleet(): TestFleet {
  const clock = steadyClock();
  return { ...createMemoryFleet(clock), clock };
}

/** The most time that passes, in ms, while this process does not get to run, however long that takes. */
const PAUSE = 20;

/**
 * A clock that stands still while this process does not get to run: leases that last for less than a second end for what a
 * test does, and not for what else the machine does.
 */
function steadyClock(): () => number {
  let [shown, read] = [Date.now(), performance.now()];
  const clock = (): number => {
    const now = performance.now();
    shown += Math.min(now - read, PAUSE);
    read = now;
    return shown;
  };
  const ticking = setInterval(clock, PAUSE / 4);
  later(() => clearInterval(ticking));
  return clock;
}

export interface FleetRelay extends TestRelay {
  readonly store: FleetStore;
}

export interface FleetRelayOptions {
  readonly identity: string;
  readonly ip: string;
  readonly fleet?: Readonly<Record<string, unknown>>;
  readonly relay?: Readonly<Record<string, unknown>>;
  readonly bus?: () => EventBus;
  readonly usage?: () => UsageLog;
  /** To be read when the relay tells them no more. */
  readonly metrics?: Metrics;
}

/** Leases of the tests, in ms. */
export const TTL = 600;

/** Ports below the ephemeral ones. */
export const PORTS = { min: 28_000, max: 28_199 };

/** A relay of the fleet on a loopback address of its own, on the portable data plane. Returns before it serves. */
export async function launchRelay(
  fleet: TestFleet,
  { identity, ip, fleet: section = {}, relay = {}, bus, usage, metrics }: FleetRelayOptions,
): Promise<FleetRelay> {
  const store = fleet.connect();
  const started = await startRelay(
    {
      listeners: [{ transport: "udp", ip, port: 3478 }],
      addresses: [ip],
      ports: PORTS,
      dataPlane: { kind: "node" },
      ...relay,
      fleet: {
        identity,
        secrets: [SECRET],
        redis: { url: "redis://127.0.0.1:1" },
        lease: { ttl: TTL / 1000, outage: 60 },
        slots: { ports: 100 },
        mesh: { ip, port: 0 },
        ...section,
      },
    },
    {
      clock: fleet.clock,
      ...(metrics === undefined ? {} : { metrics }),
      fleet: {
        store,
        ...(bus === undefined ? {} : { bus: bus() }),
        ...(usage === undefined ? {} : { usage: usage() }),
      },
    },
  );
  later(() => store.close());
  return { ...started, store };
}

/** The same, once it serves. */
export async function startFleetRelay(fleet: TestFleet, options: FleetRelayOptions): Promise<FleetRelay> {
  const relay = await launchRelay(fleet, options);
  await served(relay);
  return relay;
}

export async function served(relay: FleetRelay): Promise<void> {
  await expect.poll(() => relay.service.ready(), { interval: 10 }).toMatchObject({ ready: true });
}

/** Lets the relays have known each other for as long as it takes to vouch for one another. */
export function settled(fleet: TestFleet): Promise<void> {
  return passed(fleet, 3 * TTL);
}

/** Lets so many milliseconds pass on the fleet's clock. */
export async function passed({ clock }: TestFleet, milliseconds: number): Promise<void> {
  const end = clock() + milliseconds;
  while (clock() < end) await sleep(PAUSE);
}
