import type { DataPlane } from "@culvert/dataplane";
import { Method } from "@culvert/stun";
import { AUTH_FAILURES, TURN_DROP_REASONS, type TurnEvent } from "@culvert/turn";
import type { Attributes, Meter } from "@opentelemetry/api";
import type { ControlLoad } from "../control-loop.ts";
import { observeDataPlane } from "./data-plane-metrics.ts";
import { Tally } from "./tally.ts";

const METHOD_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(Method).map(([name, value]) => [value, name]));

/** More than there are error codes. */
const CODES = 1000;
const none = (): Attributes => ({});

/** What is answered from memory, up to what waits for Redis and for the relay socket as long as it may. */
const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** What a request came to: `challenge` is the 401 or 438 that each client meets, `redirect` the way to another relay. */
export type RequestResult = "success" | "challenge" | "redirect" | "refused" | "failed";

/** What Allocate is mostly answered with: shown from the start, so that the first one counts in a rate, too. */
const ALLOCATE_RESULTS: readonly (readonly [code: number | undefined, result: RequestResult])[] = [
  [undefined, "success"],
  [401, "challenge"],
  [401, "refused"],
  [300, "redirect"],
  [403, "refused"],
  [437, "refused"],
  [486, "refused"],
  [500, "failed"],
  [508, "failed"],
];

const BIND_FAILURES = ["in-use", "unavailable", "no-descriptors", "timeout"];

const requestKey = (method: number, code: number | undefined, result: RequestResult): number =>
  (method * CODES + (code ?? 0)) * 2 + (result === "challenge" ? 1 : 0);

const TRY_ALTERNATE = 300;
const SERVER_ERRORS = 500;

export interface TurnMetrics {
  /** Counts one event of the TURN server. */
  observe(event: TurnEvent): void;
  /** Allocations that live now. */
  readonly allocations: number;
  /** What cannot be read, such as a new certificate. */
  countReload(what: "certificate" | "config", ok: boolean): void;
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
  readonly dangerousRanges: () => number;
  /** Seconds since the Unix epoch; undefined without TLS. */
  readonly certificateNotAfter: () => number | undefined;
  /** Allocations that there is room for. */
  readonly capacity: () => number;
  /** Seconds until a stopping relay cuts what still lives; 0 when it does not stop. */
  readonly drainRemaining: () => number;
  /** Undefined before the relay serves. */
  readonly load: () => ControlLoad | undefined;
  /** The clock that the TURN server is told. */
  readonly clock: () => number;
}

/** Creates the relay's instruments. No label holds a user, an address, a port or an allocation. */
export function createTurnMetrics(meter: Meter, dataPlane: DataPlane, gauges: RelayGauges): TurnMetrics {
  const counter = (name: string, description: string): Tally => new Tally(meter, `culvert_relay_${name}`, description);
  const requests = counter(
    "requests_total",
    "Answered requests by method, code (success, or the error code) and result: success, challenge (401 or 438 that asks to authenticate), redirect (300), refused (4xx), failed (5xx)",
  );
  const durations = meter.createHistogram("culvert_relay_request_duration_seconds", {
    description: "Time from a request's arrival at the control path to its answer, by method; challenges not counted",
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
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
  for (const [code, result] of ALLOCATE_RESULTS) {
    requests.declare(requestKey(Method.Allocate, code, result), {
      method: "Allocate",
      code: code ?? "success",
      result,
    });
  }
  for (const tally of [permissions, channels, revoked, peerErrors, adminFailures]) tally.declare("", {});
  for (const reason of BIND_FAILURES) bindFailures.declare(reason, { reason });
  for (const what of ["certificate", "config"]) {
    for (const outcome of ["ok", "failed"]) reloads.declare(`${what} ${outcome}`, { what, outcome });
  }
  observeState(meter, gauges, live);
  observeDataPlane(meter, dataPlane);

  const observe = (event: TurnEvent): void => {
    switch (event.name) {
      case "request": {
        const { method, code, receivedAt } = event;
        const result = resultOf(event);
        requests.add(requestKey(method, code, result), () => ({
          method: methodName(method),
          code: code ?? "success",
          result,
        }));
        if (receivedAt === undefined || result === "challenge") break;
        durations.record(Math.max(gauges.clock() - receivedAt, 0) / 1000, methodLabel(method));
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

const METHOD_LABELS: ReadonlyMap<number, Attributes> = new Map(
  [...METHOD_NAMES].map(([value, method]) => [value, { method }]),
);

function methodLabel(method: number): Attributes {
  return METHOD_LABELS.get(method) ?? { method: "unknown" };
}

function resultOf({ code, challenge }: Extract<TurnEvent, { readonly name: "request" }>): RequestResult {
  if (code === undefined) return "success";
  if (challenge === true) return "challenge";
  if (code === TRY_ALTERNATE) return "redirect";
  return code < SERVER_ERRORS ? "refused" : "failed";
}

function observeState(meter: Meter, gauges: RelayGauges, live: ReadonlySet<number>): void {
  const gauge = (name: string, description: string, read: () => number | undefined): void => {
    meter.createObservableGauge(`culvert_relay_${name}`, { description }).addCallback((result) => {
      const value = read();
      if (value !== undefined) result.observe(value);
    });
  };
  gauge("allocations", "Allocations now", () => live.size);
  gauge("allocations_capacity", "Allocations that there is room for: ports, quota, file descriptors", gauges.capacity);
  gauge(
    "ports_capacity",
    "Relayed ports of this relay, those of closed slots included",
    () => gauges.load()?.ports.capacity,
  );
  gauge("ports_used", "Relayed ports that are taken, or not to be had for a while", () => gauges.load()?.ports.used);
  gauge(
    "requests_waiting",
    "Requests that wait for a relay socket or for the fleet's admission",
    () => gauges.load()?.waiting,
  );
  gauge("signing_keys", "Signing keys known", gauges.keys);
  gauge("key_watch_connected", "1 while the keys are known to be current, 0 while their source is away", () => {
    const connected = gauges.keysConnected();
    return connected === undefined ? undefined : Number(connected);
  });
  gauge("draining", "1 while the relay refuses new allocations to stop", () => (gauges.draining() ? 1 : 0));
  gauge(
    "drain_remaining_seconds",
    "Seconds until a relay that stops cuts what still lives; 0 while it does not stop",
    gauges.drainRemaining,
  );
  gauge("peers_dangerously_allowed", "Ranges that peers.dangerouslyAllow opens", () => gauges.dangerousRanges());
  gauge(
    "certificate_not_after_seconds",
    "When the certificate of the TLS listeners ends, in seconds since the Unix epoch",
    gauges.certificateNotAfter,
  );
  const total = (name: string, description: string, read: (load: ControlLoad) => number): void => {
    meter.createObservableCounter(`culvert_relay_${name}`, { description }).addCallback((result) => {
      const load = gauges.load();
      if (load !== undefined) result.observe(read(load));
    });
  };
  total(
    "control_batches_total",
    "Batches of events that the data plane handed to the control path",
    (load) => load.batches,
  );
  total("control_events_total", "Events in these batches", (load) => load.events);
  total(
    "control_busy_seconds_total",
    "Seconds that the control path worked on events, deadlines and what came of them",
    (load) => load.busySeconds,
  );
}
