import type { DataPlane, DataPlaneCounters } from "@culvert/dataplane";
import { Method } from "@culvert/stun";
import { AUTH_FAILURES, TURN_DROP_REASONS, type TurnEvent } from "@culvert/turn";
import type { Attributes, Meter, ObservableResult } from "@opentelemetry/api";
import { Tally } from "./tally.ts";

const METHOD_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(Method).map(([name, value]) => [value, name]));

/** More than there are error codes. */
const CODES = 1000;
const none = (): Attributes => ({});

export interface TurnMetrics {
  /** Counts one event of the TURN server. */
  observe(event: TurnEvent): void;
  /** Allocations that live now. */
  readonly allocations: number;
  /** What cannot be read, such as a new certificate. */
  countReload(what: "certificate", ok: boolean): void;
  /** An operator without the token. */
  countAdminFailure(): void;
}

/** What the relay's own state shows, read at each collection. */
export interface RelayGauges {
  readonly keys: () => number;
  /** Whether the key watch is up; undefined where none is configured. */
  readonly keysConnected: () => boolean | undefined;
  readonly draining: () => boolean;
  /** Ranges that `peers.dangerouslyAllow` opens. */
  readonly dangerousRanges: number;
  /** Seconds since the Unix epoch; undefined without TLS. */
  readonly certificateNotAfter: () => number | undefined;
}

/** Creates the relay's instruments. No label holds a user, an address, a port or an allocation. */
export function createTurnMetrics(meter: Meter, dataPlane: DataPlane, gauges: RelayGauges): TurnMetrics {
  const counter = (name: string, description: string): Tally => new Tally(meter, `culvert_relay_${name}`, description);
  const requests = counter("requests_total", "Answered requests by method and code (success, or the error code)");
  const authFailures = counter("auth_failures_total", "Requests that were not authenticated, by reason");
  const created = counter("allocations_created_total", "Allocations created, by the client's transport");
  const deleted = counter("allocations_deleted_total", "Allocations deleted, by reason");
  const permissions = counter("permissions_created_total", "Permissions created");
  const channels = counter("channels_created_total", "Channels bound");
  const revoked = counter("permissions_revoked_total", "Permissions that a change of the peer policy cut");
  const denied = counter("peers_denied_total", "Peers that the policy forbade, by method");
  const bindFailures = counter("bind_failures_total", "Relay sockets that could not be opened, by reason");
  const peerErrors = counter("peer_errors_total", "ICMP errors that came from peers");
  const dropped = counter("dropped_total", "What the control path dropped without an answer, by reason");
  const reloads = counter("reloads_total", "Files read again, by what and outcome");
  const adminFailures = counter("admin_auth_failures_total", "Requests to RelayService without its token");
  const live = new Set<number>();

  for (const reason of TURN_DROP_REASONS) dropped.declare(reason, { reason });
  for (const reason of AUTH_FAILURES) authFailures.declare(reason, { reason });
  observeState(meter, gauges, live);
  observeDataPlane(meter, dataPlane);

  const observe = (event: TurnEvent): void => {
    switch (event.name) {
      case "request": {
        const { method, code } = event;
        requests.add(method * CODES + (code ?? 0), () => ({ method: methodName(method), code: code ?? "success" }));
        break;
      }
      case "auth-failed": {
        const { reason, detail } = event;
        if (detail === undefined) authFailures.add(reason, () => ({ reason }));
        else authFailures.add(`${reason} ${detail}`, () => ({ reason, detail }));
        break;
      }
      case "allocation-created":
        live.add(event.allocation);
        created.add(event.transport, () => ({ transport: event.transport }));
        break;
      case "allocation-restored":
        live.add(event.allocation);
        break;
      case "allocation-deleted":
        live.delete(event.allocation);
        deleted.add(event.reason, () => ({ reason: event.reason }));
        break;
      case "permission-created":
        permissions.add("", none);
        break;
      case "channel-created":
        channels.add("", none);
        break;
      case "permission-revoked":
        revoked.add("", none);
        break;
      case "peer-denied":
        denied.add(event.method, () => ({ method: methodName(event.method) }));
        break;
      case "bind-failed":
        bindFailures.add(event.reason, () => ({ reason: event.reason }));
        break;
      case "peer-error":
        peerErrors.add("", none);
        break;
      case "dropped":
        dropped.add(event.reason, () => ({ reason: event.reason }));
        break;
    }
  };
  return {
    observe,
    get allocations() {
      return live.size;
    },
    countAdminFailure() {
      adminFailures.add("", none);
    },
    countReload(what, ok) {
      const outcome = ok ? "ok" : "failed";
      reloads.add(`${what} ${outcome}`, () => ({ what, outcome }));
    },
  };
}

export function methodName(method: number): string {
  return METHOD_NAMES.get(method) ?? "unknown";
}

function observeState(meter: Meter, gauges: RelayGauges, live: ReadonlySet<number>): void {
  const gauge = (name: string, description: string, read: () => number | undefined): void => {
    meter.createObservableGauge(`culvert_relay_${name}`, { description }).addCallback((result) => {
      const value = read();
      if (value !== undefined) result.observe(value);
    });
  };
  gauge("allocations", "Allocations now", () => live.size);
  gauge("signing_keys", "Signing keys known", gauges.keys);
  gauge("key_watch_connected", "1 while the keys are known to be current, 0 while their source is away", () => {
    const connected = gauges.keysConnected();
    return connected === undefined ? undefined : Number(connected);
  });
  gauge("draining", "1 while the relay refuses new allocations to stop", () => (gauges.draining() ? 1 : 0));
  gauge("peers_dangerously_allowed", "Ranges that peers.dangerouslyAllow opens", () => gauges.dangerousRanges);
  gauge(
    "certificate_not_after_seconds",
    "When the certificate of the TLS listeners ends, in seconds since the Unix epoch",
    gauges.certificateNotAfter,
  );
}

type Read = (counters: DataPlaneCounters) => readonly (readonly [number, Attributes])[];

const COUNTERS: readonly { readonly name: string; readonly description: string; readonly read: Read }[] = [
  {
    name: "relayed_bytes_total",
    description: "Application bytes relayed, framing not counted, by direction",
    read: ({ bytesToPeers, bytesToClients }) => [
      [bytesToPeers, { direction: "to_peer" }],
      [bytesToClients, { direction: "to_client" }],
    ],
  },
  {
    name: "relayed_packets_total",
    description: "Packets relayed, by direction",
    read: ({ packetsToPeers, packetsToClients }) => [
      [packetsToPeers, { direction: "to_peer" }],
      [packetsToClients, { direction: "to_client" }],
    ],
  },
  {
    name: "slow_path_total",
    description: "Messages that the data plane handed to the control path",
    read: ({ slowPath }) => [[slowPath, {}]],
  },
  {
    name: "data_plane_bindings_total",
    description: "Binding requests that the data plane answered itself; they are not among the requests",
    read: ({ bindings }) => [[bindings, {}]],
  },
  {
    name: "data_plane_dropped_total",
    description: "What the data plane dropped, by reason",
    read: ({ dropped }) => Object.entries(dropped).map(([reason, count]) => [count, { reason }]),
  },
];

function observeDataPlane(meter: Meter, dataPlane: DataPlane): void {
  for (const { name, description, read } of COUNTERS) {
    meter.createObservableCounter(`culvert_relay_${name}`, { description }).addCallback((result: ObservableResult) => {
      for (const [value, attributes] of read(dataPlane.counters())) result.observe(value, attributes);
    });
  }
  meter
    .createObservableGauge("culvert_relay_relay_sockets", { description: "Open relay sockets" })
    .addCallback((result) => result.observe(dataPlane.counters().relays));
  meter
    .createObservableGauge("culvert_relay_streams", { description: "Open TCP and TLS clients" })
    .addCallback((result) => result.observe(dataPlane.counters().streams));
}
