import type { Account } from "./loadgen.ts";
import type { Metrics } from "./metrics.ts";

/** One thing that must hold: what was seen, beside what it must be. */
export interface Check {
  readonly name: string;
  readonly seen: number;
  readonly wanted: number;
  readonly ok: boolean;
}

export interface Reading {
  readonly metrics: Metrics;
  /** Datagrams that full sockets made the kernel throw away. */
  readonly kernelDrops: number;
  readonly descriptors: number;
  /** Resident memory, in bytes. */
  readonly resident: number;
}

/** What the generator did, by the direction of its packets. */
export interface Accounts {
  readonly toPeer: readonly Account[];
  readonly toClient: readonly Account[];
}

/**
 * Holds the server's counters, from one reading to another, against the generator's: every datagram is accounted for. Both are
 * to be taken without load and after a collection of garbage.
 */
export function reconcile(before: Reading, after: Reading, accounts: Accounts): readonly Check[] {
  const all = [...accounts.toPeer, ...accounts.toClient];
  const grown = (name: string, labels?: Readonly<Record<string, string>>): number =>
    after.metrics.sum(`culvert_relay_${name}`, labels) - before.metrics.sum(`culvert_relay_${name}`, labels);
  const total = (list: readonly Account[], of: (account: Account) => number): number =>
    list.reduce((sum, account) => sum + of(account), 0);

  const delivered = (list: readonly Account[]): number => total(list, ({ totals }) => totals.delivered);
  const size = all[0]?.totals.size ?? 0;
  const socketDrops = total(all, (account) => account.socketDrops);
  const relayed = grown("relayed_packets_total");
  const kernel = after.kernelDrops - before.kernelDrops - socketDrops;
  const sent = total(all, ({ totals, requests }) => totals.sent + requests);
  const ends = relayed + grown("data_plane_dropped_total") + grown("slow_path_total") + kernel;
  const allocations = total(all, (account) => account.allocations);
  const packets = (direction: string): number => grown("relayed_packets_total", { direction });

  return [
    equal("datagrams sent: relayed, dropped or handed up", ends, sent),
    // What a full socket of the generator's own lost was relayed all the same.
    equal("packets relayed: delivered", relayed, delivered(all) + socketDrops),
    ...(socketDrops === 0
      ? [
          equal("packets relayed to peers", packets("to_peer"), delivered(accounts.toPeer)),
          equal("packets relayed to clients", packets("to_client"), delivered(accounts.toClient)),
        ]
      : []),
    equal("bytes relayed to peers", grown("relayed_bytes_total", { direction: "to_peer" }), packets("to_peer") * size),
    equal(
      "bytes relayed to clients",
      grown("relayed_bytes_total", { direction: "to_client" }),
      packets("to_client") * size,
    ),
    equal("allocations created", grown("allocations_created_total"), allocations),
    equal("allocations deleted", grown("allocations_deleted_total"), allocations),
    equal("channels bound", grown("channels_created_total"), allocations),
    equal("allocations left", after.metrics.sum("culvert_relay_allocations"), 0),
    equal("relay sockets left", after.metrics.sum("culvert_relay_relay_sockets"), 0),
    equal("descriptors open", after.descriptors, before.descriptors),
    ...memory(before, after),
  ];
}

function equal(name: string, seen: number, wanted: number): Check {
  return { name, seen, wanted, ok: seen === wanted };
}

/**
 * Memory once the load is gone and garbage is collected, before and after: it may not have grown by more than this. What is resident has some
 * megabytes of play, which do not come with the number of allocations: holes in the heaps of the C library, seen to be 3 to 10 MB.
 */
const MAX_HEAP_GROWTH = 2 << 20;
const MAX_RESIDENT_GROWTH = 12 << 20;

function memory(before: Reading, after: Reading): readonly Check[] {
  const heap = (reading: Reading): number => reading.metrics.sum("process_heap_bytes");
  return [
    atMost("JavaScript heap, bytes (at most)", heap(after), heap(before) + MAX_HEAP_GROWTH),
    atMost("resident memory, bytes (at most)", after.resident, before.resident + MAX_RESIDENT_GROWTH),
  ];
}

function atMost(name: string, seen: number, wanted: number): Check {
  return { name, seen, wanted, ok: seen <= wanted };
}
