import type { RelayEntry } from "@culvert/state";
import type { TransportAddress } from "@culvert/stun";
import { advertisedAddresses } from "../addresses.ts";
import type { RelayConfig } from "../config.ts";
import type { RelayedAddresses } from "../relayed-addresses.ts";
import type { FleetConfig } from "./config.ts";
import type { Frontends } from "./frontends.ts";
import type { Ledger } from "./ledger.ts";
import type { SlotTable } from "./slot-table.ts";

export interface RegistryEntryOptions {
  readonly config: RelayConfig;
  readonly fleet: FleetConfig;
  readonly relays: RelayedAddresses;
  readonly frontends: Frontends;
  readonly slots: SlotTable;
  readonly ledger: Ledger;
  readonly startedAt: number;
  readonly draining: boolean;
  /** Where operators reach this relay. */
  readonly admin: string | undefined;
  /** Where its mesh is bound. */
  readonly mesh: TransportAddress | undefined;
  /** Addresses that its host has, where relayed addresses move. */
  readonly reach: readonly string[] | undefined;
}

/** What the registry of the fleet says of this relay. */
export function registryEntry(
  options: RegistryEntryOptions,
): Omit<RelayEntry, "identity" | "instance" | "host" | "sentAt" | "contact"> {
  const { config, fleet, slots, ledger, startedAt, draining, admin, mesh, reach } = options;
  return {
    turn: advertised(options),
    load: { allocations: ledger.size, capacity: openCapacity(config, slots), draining },
    startedAt,
    ...(mesh === undefined ? {} : { mesh: { ...mesh, ip: fleet.mesh?.external ?? mesh.ip } }),
    ...(reach === undefined ? {} : { reach }),
    ...(admin === undefined ? {} : { admin }),
  };
}

/** Allocations that there is room for in the slots that take new ones. */
export function openCapacity({ quotas }: Pick<RelayConfig, "quotas">, { ports }: Pick<SlotTable, "ports">): number {
  return Math.min(ports, quotas.total ?? ports);
}

function advertised({ fleet, relays, frontends }: RegistryEntryOptions): readonly TransportAddress[] {
  if (fleet.advertise.length > 0) return fleet.advertise;
  const listeners = [...frontends].filter(({ transport }) => transport !== "tls");
  return advertisedAddresses(
    listeners.map(({ transport, address }) => ({ transport, ...address })),
    relays.current,
  );
}
