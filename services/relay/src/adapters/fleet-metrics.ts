import type { DataPlane } from "@culvert/dataplane";
import type { UsageLog } from "@culvert/events";
import { RESTORE_FAILURES } from "@culvert/turn";
import type { Attributes, Meter } from "@opentelemetry/api";
import { ADMISSION_OUTCOMES } from "../fleet/admission.ts";
import type { FleetMember } from "../fleet/member.ts";
import { ROUTER_DROPS } from "../fleet/router.ts";

export interface FleetMetricsSources {
  readonly member: FleetMember;
  readonly usage: UsageLog | undefined;
  readonly dataPlane: DataPlane;
}

type Reading = readonly [value: number, attributes?: Attributes];

interface Instrument {
  readonly kind: "counter" | "gauge";
  readonly name: string;
  readonly description: string;
  readonly read: (sources: FleetMetricsSources) => readonly Reading[];
}

const one = (value: number): readonly Reading[] => [[value]];
const by = (label: string, counts: Iterable<readonly [string, number]>): readonly Reading[] =>
  [...counts].map(([name, count]) => [count, { [label]: name }]);

/** What there can be shows from the start, with 0: the first one counts in a rate, too. */
function counted<Name extends string>(names: readonly Name[], counts: ReadonlyMap<Name, number>): [Name, number][] {
  return names.map((name) => [name, counts.get(name) ?? 0]);
}

const INSTRUMENTS: readonly Instrument[] = [
  {
    kind: "gauge",
    name: "slots_held",
    description: "Slots that this relay holds and may relay for",
    read: ({ member }) => one(member.slotsHeld),
  },
  {
    kind: "gauge",
    name: "slots",
    description: "Slots leased, by state: serving, restoring, fenced (the lease lapsed), closing (being handed over)",
    read: ({ member }) => by("state", Object.entries(member.slots.states())),
  },
  {
    kind: "counter",
    name: "slots_taken_over_total",
    description: "Slots gained that a relay of another name had before",
    read: ({ member }) => one(member.counters.slots.takenOver),
  },
  {
    kind: "gauge",
    name: "slots_restoring",
    description: "Slots whose allocations are being read",
    read: ({ member }) => one(member.slots.restoring),
  },
  {
    kind: "counter",
    name: "slots_total",
    description: "What happened to slots: gained, lost to another relay, released, lapsed (fenced), resumed",
    read: ({ member }) => {
      const { takenOver: _, ...events } = member.counters.slots;
      return by("event", Object.entries(events));
    },
  },
  {
    kind: "counter",
    name: "lease_renewals_total",
    description: "Renewals of the leases, by outcome",
    read: ({ member: { counters } }) =>
      by("outcome", [
        ["ok", counters.renewals.ok],
        ["failed", counters.renewals.failed],
      ]),
  },
  {
    kind: "counter",
    name: "lease_renewal_seconds_total",
    description: "Seconds that renewals took, all together",
    read: ({ member }) => one(member.counters.renewals.seconds),
  },
  {
    kind: "counter",
    name: "restored_total",
    description: "Allocations of an earlier process that go on here",
    read: ({ member }) => one(member.restorer.counters.restored),
  },
  {
    kind: "counter",
    name: "restore_failures_total",
    description: "Allocations of an earlier process that do not go on here, by reason",
    read: ({ member }) => by("reason", counted(RESTORE_FAILURES, member.restorer.counters.failed)),
  },
  {
    kind: "gauge",
    name: "restore_seconds",
    description: "Seconds that the last slot's restore took",
    read: ({ member }) => one(member.restorer.counters.seconds),
  },
  {
    kind: "counter",
    name: "admissions_total",
    description: "Answers of the fleet to new allocations",
    read: ({ member }) => by("outcome", counted(ADMISSION_OUTCOMES, member.counters.admissions)),
  },
  {
    kind: "counter",
    name: "alternates_told_total",
    description: "Clients that were sent to another relay (300)",
    read: ({ member }) => one(member.counters.alternates),
  },
  {
    kind: "gauge",
    name: "write_behind_queue",
    description: "Changes of allocations that wait to be written",
    read: ({ member }) => one(member.writer.counters().queued),
  },
  {
    kind: "counter",
    name: "write_behind_flushes_total",
    description: "Batches of changes, by outcome",
    read: ({ member }) => {
      const { flushes, failed } = member.writer.counters();
      return by("outcome", [
        ["ok", flushes],
        ["failed", failed],
      ]);
    },
  },
  {
    kind: "counter",
    name: "write_behind_writes_total",
    description: "Changes by what the store made of them: stale ones were refused",
    read: ({ member }) => by("result", Object.entries(member.writer.counters().results)),
  },
  {
    kind: "counter",
    name: "write_behind_dropped_total",
    description: "Deletions that were left to the records' own expiry for want of room",
    read: ({ member }) => one(member.writer.counters().dropped),
  },
  {
    kind: "counter",
    name: "mesh_packets_total",
    description: "Datagrams of the mesh, by direction",
    read: ({ dataPlane }) => {
      const { mesh } = dataPlane.counters();
      return by("direction", [
        ["out", mesh.packetsSent],
        ["in", mesh.packetsReceived],
      ]);
    },
  },
  {
    kind: "counter",
    name: "mesh_bytes_total",
    description: "Bytes of the mesh's datagrams, by direction",
    read: ({ dataPlane }) => {
      const { mesh } = dataPlane.counters();
      return by("direction", [
        ["out", mesh.bytesSent],
        ["in", mesh.bytesReceived],
      ]);
    },
  },
  {
    kind: "gauge",
    name: "mesh_peers",
    description: "Relays that the mesh reaches",
    read: ({ member }) => one(member.peers.size),
  },
  {
    kind: "gauge",
    name: "mesh_foreign_clients",
    description: "Clients that other relays own",
    read: ({ dataPlane }) => one(dataPlane.counters().mesh.foreignClients),
  },
  {
    kind: "counter",
    name: "mesh_lookups_total",
    description: "Questions to the store whose a 5-tuple is, by outcome",
    read: ({ member }) => {
      const { lookups, failedLookups } = member.router.counters;
      return by("outcome", [
        ["ok", lookups - failedLookups],
        ["failed", failedLookups],
      ]);
    },
  },
  {
    kind: "counter",
    name: "mesh_forwarded_total",
    description: "Packets that the control path forwarded to their owner",
    read: ({ member }) => one(member.router.counters.forwarded),
  },
  {
    kind: "counter",
    name: "mesh_dropped_total",
    description: "Packets without an owner that went nowhere, by reason",
    read: ({ member }) => by("reason", counted(ROUTER_DROPS, member.router.counters.drops)),
  },
  {
    kind: "gauge",
    name: "mesh_known_tuples",
    description: "5-tuples whose owner is remembered",
    read: ({ member }) => one(member.router.known),
  },
  {
    kind: "gauge",
    name: "fleet_time_offset_seconds",
    description: "What the relay's clock is off fleet time",
    read: ({ member }) => one(member.offsetSeconds),
  },
  {
    kind: "gauge",
    name: "usage_events_waiting",
    description: "Usage events that are not stored yet",
    read: ({ usage }) => (usage === undefined ? [] : one(usage.stats().waiting)),
  },
  {
    kind: "counter",
    name: "usage_events_total",
    description: "Usage events, by what became of them",
    read: ({ usage }) => {
      if (usage === undefined) return [];
      const { stored, dropped } = usage.stats();
      return by("outcome", [
        ["stored", stored],
        ["dropped", dropped],
      ]);
    },
  },
];

/** Creates the instruments of a relay in a fleet. No label holds a user, an address, a port or an allocation. */
export function createFleetMetrics(meter: Meter, sources: FleetMetricsSources): void {
  for (const { kind, name, description, read } of INSTRUMENTS) {
    const full = `culvert_relay_${name}`;
    const instrument =
      kind === "counter"
        ? meter.createObservableCounter(full, { description })
        : meter.createObservableGauge(full, { description });
    instrument.addCallback((result) => {
      for (const [value, attributes] of read(sources)) result.observe(value, attributes);
    });
  }
}

/** From a slot without an allocation to one with hundreds, and a store that has to be asked again. */
const RESTORE_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Creates the histogram of the times that slots took to be restored, and says how one is told. */
export function restoreDurations(meter: Meter): (seconds: number) => void {
  const histogram = meter.createHistogram("culvert_relay_slot_restore_duration_seconds", {
    description: "Time to read the records of a slot and start what lives in it",
    advice: { explicitBucketBoundaries: RESTORE_BUCKETS },
  });
  return (seconds) => histogram.record(seconds);
}
