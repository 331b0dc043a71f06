import { parseSlot, type SlotName } from "@culvert/fleet";
import type { RelayEntry } from "@culvert/state";
import type { Ledger } from "./ledger.ts";
import type { SlotEvents } from "./slot-events.ts";
import type { SlotTable } from "./slot-table.ts";

export interface SlotMovesOptions {
  readonly identity: string;
  readonly slots: SlotTable;
  readonly ledger: Ledger;
  readonly events: Pick<SlotEvents, "handOver">;
}

/** Gives up slots that this relay need not have any more. */
export class SlotMoves {
  readonly #options: SlotMovesOptions;
  #departing = false;

  constructor(options: SlotMovesOptions) {
    this.#options = options;
  }

  /** From now on slots go to other relays whose hosts have their addresses. */
  depart(): void {
    this.#departing = true;
  }

  /** Each slot of a relay that departs goes to the one with the fewest allocations whose host has its address, if there is one. */
  see(relays: readonly RelayEntry[]): void {
    if (!this.#departing) return;
    const { identity, slots, events } = this.#options;
    const takers = relays
      .filter((relay) => relay.identity !== identity && !relay.load.draining)
      .sort((a, b) => a.load.allocations - b.load.allocations);
    for (const slot of slots.names()) {
      const ip = parseSlot(slot)?.ip ?? "";
      const taker = takers.find(({ reach }) => reach?.includes(ip));
      if (taker !== undefined) void events.handOver(slot, taker.identity);
    }
  }

  /** Gives up the slots of former addresses in which nothing lives any more. */
  retire(): void {
    const { slots, ledger, events } = this.#options;
    const former = slots.former();
    if (former.length === 0) return;
    const used = new Set<SlotName | undefined>();
    for (const { info } of ledger) for (const { slot } of info.relays) used.add(slot);
    for (const slot of former) if (!used.has(slot)) void events.handOver(slot);
  }

  /** Gives up all slots, for others to go on with where their addresses move. */
  async leave(): Promise<void> {
    const { slots, events } = this.#options;
    for (const slot of slots.names()) await events.handOver(slot);
  }
}
