import type { EventBus, UsageLog } from "@culvert/events";
import { createMemoryFleet, type FleetStore, type MemoryFleet } from "@culvert/state";
import { vi } from "vitest";
import { later, startRelay, type TestRelay } from "./harness.ts";

export const SECRET = "the secret of the relays in the tests, long enough";

/** A fleet's state in this process, on the wall clock. */
export function startFleet(): MemoryFleet {
  return createMemoryFleet(() => Date.now());
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
}

/** Leases of the tests, in ms. */
const TTL = 600;

/** Ports below the ephemeral ones. */
export const PORTS = { min: 28_000, max: 28_199 };

/** A relay of the fleet on a loopback address of its own, on the portable data plane. Returns before it serves. */
export async function launchRelay(
  fleet: MemoryFleet,
  { identity, ip, fleet: section = {}, relay = {}, bus, usage }: FleetRelayOptions,
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
export async function startFleetRelay(fleet: MemoryFleet, options: FleetRelayOptions): Promise<FleetRelay> {
  const relay = await launchRelay(fleet, options);
  await served(relay);
  return relay;
}

export async function served(relay: FleetRelay): Promise<void> {
  await vi.waitFor(
    () => {
      const state = relay.service.ready();
      if (!state.ready) throw new Error(JSON.stringify(state.checks));
    },
    { timeout: 10_000, interval: 10 },
  );
}

/** Lets the relays have known each other for as long as it takes to vouch for one another. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3 * TTL));
}
