import { type LeaseNumber, parseSlot, type SlotName } from "@culvert/fleet";
import type { SlotConfig } from "@culvert/turn";
import type { RelayedAddresses } from "../relayed-addresses.ts";

/**
 * - `fenced`: the lease has lapsed, nothing is relayed
 * - `closing`: handed over to another relay, nothing is relayed any more
 * - `restoring`: what lives in it is being read
 * - `serving`: takes new allocations
 */
export type SlotState = "fenced" | "closing" | "restoring" | "serving";

interface Entry {
  readonly config: SlotConfig;
  lapsed: boolean;
  /** Its records were read: what is free now is free indeed. */
  restored: boolean;
  /** It is being handed over. */
  closing: boolean;
}

/** The slots held, as the TURN server is told them. */
export class SlotTable {
  readonly #addresses: RelayedAddresses;
  readonly #entries = new Map<SlotName, Entry>();

  /** @param addresses the relay's own: a slot's IP is the external one, sockets are bound to the local one */
  constructor(addresses: RelayedAddresses) {
    this.#addresses = addresses;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Those whose lease holds. */
  get live(): number {
    return [...this.#entries.values()].filter(({ lapsed }) => !lapsed).length;
  }

  /** How many slots are in each state; each slot in the first that holds. */
  states(): Readonly<Record<SlotState, number>> {
    const counts = { fenced: 0, closing: 0, restoring: 0, serving: 0 };
    for (const { lapsed, closing, restored } of this.#entries.values()) {
      counts[lapsed ? "fenced" : closing ? "closing" : restored ? "serving" : "restoring"]++;
    }
    return counts;
  }

  /** Slots whose records are not all read. */
  get restoring(): number {
    let count = 0;
    for (const { restored } of this.#entries.values()) if (!restored) count++;
    return count;
  }

  /** Ports in slots that take new allocations. */
  get ports(): number {
    return [...this.#entries.values()]
      .filter((entry) => this.#isOpen(entry))
      .reduce((sum, { config: { ports } }) => sum + ports.max - ports.min + 1, 0);
  }

  add(slot: SlotName, lease: LeaseNumber): void {
    const range = parseSlot(slot);
    if (range === undefined) return;
    const { ip: external, min, max } = range;
    const config = { slot, lease, ip: this.#addresses.localOf(external) ?? external, external, ports: { min, max } };
    this.#entries.set(slot, { config, lapsed: false, restored: false, closing: false });
  }

  /** Nothing when the slot is held under another lease by now. */
  remove(slot: SlotName, lease: LeaseNumber): void {
    if (this.#entries.get(slot)?.config.lease === lease) this.#entries.delete(slot);
  }

  leaseOf(slot: SlotName): LeaseNumber | undefined {
    return this.#entries.get(slot)?.config.lease;
  }

  mark(slot: SlotName, what: Partial<Pick<Entry, "lapsed" | "restored" | "closing">>): void {
    const entry = this.#entries.get(slot);
    if (entry !== undefined) Object.assign(entry, what);
  }

  has(slot: SlotName): boolean {
    return this.#entries.has(slot);
  }

  names(): readonly SlotName[] {
    return [...this.#entries.keys()];
  }

  configs(): readonly SlotConfig[] {
    return [...this.#entries.values()].map((entry) => ({ ...entry.config, open: this.#isOpen(entry) }));
  }

  /** Those of addresses that clients know by another name by now, and that take no new allocations any more. */
  former(): readonly SlotName[] {
    return [...this.#entries.values()]
      .filter((entry) => this.#isFormer(entry) && !this.#isOpen(entry))
      .map(({ config }) => config.slot);
  }

  /** A former address serves new allocations until a slot of the new one can. */
  #isOpen(entry: Entry): boolean {
    if (!isUsable(entry) || !this.#isFormer(entry)) return isUsable(entry);
    const { ip } = entry.config;
    return ![...this.#entries.values()].some(
      (other) => other.config.ip === ip && isUsable(other) && !this.#isFormer(other),
    );
  }

  #isFormer({ config: { ip, external = ip } }: Entry): boolean {
    return this.#addresses.localOf(external) === ip && this.#addresses.externalOf(ip) !== external;
  }
}

function isUsable({ lapsed, restored, closing }: Entry): boolean {
  return restored && !lapsed && !closing;
}
