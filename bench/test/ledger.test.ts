import { expect, test } from "vitest";
import { type Reading, reconcile } from "../ledger.ts";
import type { Account } from "../loadgen.ts";
import { Metrics } from "../metrics.ts";
import { kernelDrops } from "../procfs.ts";

const exposition = (counts: { packets: number; bytes: number; allocations: number; dropped: number }): string => `
# HELP culvert_relay_relayed_packets_total Packets relayed, by direction
# TYPE culvert_relay_relayed_packets_total counter
culvert_relay_relayed_packets_total{direction="to_peer"} ${counts.packets}
culvert_relay_relayed_packets_total{direction="to_client"} ${2 * counts.packets}
culvert_relay_relayed_bytes_total{direction="to_peer"} ${counts.bytes}
culvert_relay_relayed_bytes_total{direction="to_client"} ${2 * counts.bytes}
culvert_relay_data_plane_dropped_total{reason="no-permission"} ${counts.dropped}
culvert_relay_data_plane_dropped_total{reason="rate-limit"} 0
culvert_relay_slow_path_total ${5 * counts.allocations}
culvert_relay_allocations_created_total{transport="udp"} ${counts.allocations}
culvert_relay_allocations_deleted_total{reason="refresh"} ${counts.allocations}
culvert_relay_channels_created_total ${counts.allocations}
culvert_relay_allocations 0
culvert_relay_relay_sockets 0
process_heap_bytes 30000000
`;

const reading = (text: string, full: number, descriptors = 30): Reading => ({
  metrics: new Metrics(text),
  kernelDrops: full,
  descriptors,
  resident: 100e6,
});
const account = (sent: number, delivered: number, allocations: number): Account => ({
  allocations,
  requests: 5 * allocations,
  socketDrops: 0,
  totals: { sent, delivered, size: 200 },
});

// 1,000 packets of 200 bytes to peers and 2,000 to clients, of 3,107 sent: 7 were dropped by the relay, 100 by its sockets.
const before = reading(exposition({ packets: 50, bytes: 5000, allocations: 3, dropped: 1 }), 40);
const after = exposition({ packets: 1050, bytes: 205_000, allocations: 13, dropped: 8 });
const accounts = { toPeer: [account(600, 600, 4), account(450, 400, 4)], toClient: [account(2057, 2000, 2)] };
const wrong = (seen: Reading): readonly string[] =>
  reconcile(before, seen, accounts)
    .filter(({ ok }) => !ok)
    .map(({ name }) => name);

test("counters that account for every packet pass", () => {
  expect(wrong(reading(after, 140))).toEqual([]);
});

test("a packet that nobody accounts for is seen", () => {
  expect(wrong(reading(after, 139))).toEqual(["datagrams sent: relayed, dropped or handed up"]);
});

test("a descriptor that stays open is seen", () => {
  expect(wrong(reading(after, 140, 31))).toEqual(["descriptors open"]);
});

test("a packet counted in the wrong direction, a byte too many and an allocation that stays are seen", () => {
  const cooked = after
    .replace('packets_total{direction="to_peer"} 1050', 'packets_total{direction="to_peer"} 1049')
    .replace('packets_total{direction="to_client"} 2100', 'packets_total{direction="to_client"} 2101')
    .replace("relay_allocations 0", "relay_allocations 1");
  expect(wrong(reading(cooked, 140))).toEqual([
    "packets relayed to peers",
    "packets relayed to clients",
    "bytes relayed to peers",
    "bytes relayed to clients",
    "allocations left",
  ]);
});

test("memory that does not come back is seen, the heap apart from the rest", () => {
  const grown = (heap: number, resident: number): readonly string[] =>
    wrong({ ...reading(after.replace(/heap_bytes .*/, `heap_bytes ${heap}`), 140), resident });
  expect(grown(31e6, 104e6)).toEqual([]);
  expect(grown(33e6, 104e6)).toEqual(["JavaScript heap, bytes (at most)"]);
  expect(grown(31e6, 113e6)).toEqual(["resident memory, bytes (at most)"]);
});

test("drops are read out of /proc/net/snmp by the names of its columns", () => {
  const snmp = `Ip: Forwarding DefaultTTL
Ip: 1 64
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 852171 24 1343741 26120 1343700 0 0 0 41
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
UdpLite: 0 0 0 0 9 0 0 0 0
`;
  expect(kernelDrops(snmp)).toBe(1_343_741);
});
