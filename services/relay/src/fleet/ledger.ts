import type { DataPlane } from "@culvert/dataplane";
import type { RecordCounters } from "@culvert/state";
import type { AllocationInfo, RelayId } from "@culvert/turn";

export interface LedgerEntry {
  readonly allocation: number;
  readonly record: string;
  readonly slot: string;
  readonly info: AllocationInfo;
  relays: readonly RelayId[];
  /** Of relayed addresses that are gone. */
  before: RecordCounters;
}

const NOTHING: RecordCounters = { packetsToPeers: 0, bytesToPeers: 0, packetsToClient: 0, bytesToClient: 0 };

/** The allocations that live here, by both of their names, with what they carried. */
export class Ledger {
  readonly #dataPlane: DataPlane;
  readonly #byNumber = new Map<number, LedgerEntry>();
  readonly #byRecord = new Map<string, LedgerEntry>();

  constructor(dataPlane: DataPlane) {
    this.#dataPlane = dataPlane;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  add(info: AllocationInfo): LedgerEntry {
    const { allocation, record, relays } = info;
    const slot = relays[0]?.slot ?? "";
    const entry = { allocation, record, slot, info, relays: relays.map(({ relay }) => relay), before: NOTHING };
    this.#byNumber.set(allocation, entry);
    this.#byRecord.set(record, entry);
    return entry;
  }

  get(allocation: number): LedgerEntry | undefined {
    return this.#byNumber.get(allocation);
  }

  find(record: string): LedgerEntry | undefined {
    return this.#byRecord.get(record);
  }

  remove(allocation: number): LedgerEntry | undefined {
    const entry = this.#byNumber.get(allocation);
    if (entry === undefined) return undefined;
    this.#byNumber.delete(allocation);
    this.#byRecord.delete(entry.record);
    return entry;
  }

  /** One of two relayed addresses ends; what it carried counts on. Call it while its socket is open. */
  closeRelay(allocation: number, relay: RelayId): void {
    const entry = this.#byNumber.get(allocation);
    if (entry === undefined) return;
    entry.before = sum([entry.before, this.#dataPlane.relayCounters(relay) ?? NOTHING]);
    entry.relays = entry.relays.filter((one) => one !== relay);
  }

  /** What the allocation carried so far, before restarts included. */
  counters({ before, relays }: LedgerEntry): RecordCounters {
    return sum([before, ...relays.map((relay) => this.#dataPlane.relayCounters(relay) ?? NOTHING)]);
  }

  /** Of a slot. */
  *ofSlot(slot: string): IterableIterator<LedgerEntry> {
    for (const entry of this.#byNumber.values()) if (entry.slot === slot) yield entry;
  }

  [Symbol.iterator](): IterableIterator<LedgerEntry> {
    return this.#byNumber.values();
  }
}

function sum(all: readonly RecordCounters[]): RecordCounters {
  return all.reduce((total, one) => ({
    packetsToPeers: total.packetsToPeers + one.packetsToPeers,
    bytesToPeers: total.bytesToPeers + one.bytesToPeers,
    packetsToClient: total.packetsToClient + one.packetsToClient,
    bytesToClient: total.bytesToClient + one.bytesToClient,
  }));
}
