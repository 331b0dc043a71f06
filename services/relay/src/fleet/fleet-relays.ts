import { parseSlot } from "@culvert/fleet";
import type { FleetStore, SlotState } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { FleetRelay } from "@culvert/turn";
import type { RelayedAddresses } from "../relayed-addresses.ts";

/** How often the relayed addresses of the fleet are read, in ms. */
const READ_MS = 10_000;

export interface FleetRelaysOptions {
  readonly store: FleetStore;
  readonly logger: Logger;
  /** Relayed addresses of this relay. */
  readonly relays: RelayedAddresses;
  /** Told where the other relays of the fleet relay. */
  readonly onFleetRelays: (relays: readonly FleetRelay[]) => void;
}

/** Follows where the other relays relay: these addresses are peers, whatever the policy says of their ranges. */
export class FleetRelays {
  readonly #options: FleetRelaysOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FleetRelaysOptions) {
    this.#options = options;
  }

  follow(): void {
    this.learn();
    this.#timer = setInterval(() => this.learn(), READ_MS).unref();
  }

  /** Reads them now. */
  learn(): void {
    void this.#learn();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #learn(): Promise<void> {
    const { store, onFleetRelays, logger, relays } = this.#options;
    try {
      onFleetRelays(relaysOf(await store.slots(), relays));
    } catch (error) {
      logger.debug({ err: error }, "relayed addresses of the fleet not read");
    }
  }
}

/** The relayed addresses of all slots but the own ones, each with all of its ports. */
function relaysOf(slots: readonly SlotState[], own: RelayedAddresses): readonly FleetRelay[] {
  const ports = new Map<string, { readonly min: number; readonly max: number }>();
  for (const { slot } of slots) {
    const range = parseSlot(slot);
    if (range === undefined || own.localOf(range.ip) !== undefined) continue;
    const { min, max } = ports.get(range.ip) ?? range;
    ports.set(range.ip, { min: Math.min(min, range.min), max: Math.max(max, range.max) });
  }
  return [...ports].sort(([a], [b]) => (a < b ? -1 : 1)).map(([range, known]) => ({ range, ports: known }));
}
