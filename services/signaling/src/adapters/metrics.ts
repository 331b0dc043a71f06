import { ERRORS, type HubEvent } from "@culvert/rendezvous";
import type { Metrics } from "@culvert/telemetry";

/** What the service's own state shows, read at each collection. */
export interface SignalingGauges {
  readonly connections: () => number;
  readonly sessions: () => number;
  readonly replicas: () => number;
  readonly keys: () => number;
  readonly keysConnected: () => boolean;
  readonly busUp: () => boolean;
}

export interface SignalingMetrics {
  observe(event: HubEvent): void;
  /** Counts what was turned away before it got to the hub. */
  refused(reason: string): void;
}

/** Creates the instruments. No label holds a user, a room, a session or an address. */
export function createSignalingMetrics({ meter }: Metrics, gauges: SignalingGauges): SignalingMetrics {
  const counter = (name: string, description: string) =>
    meter.createCounter(`culvert_signaling_${name}`, { description });
  const messages = counter("messages_total", "Messages by direction and type");
  const refusals = counter("refused_total", "What was refused, by reason");
  const resumes = counter("resumes_total", "Attempts to resume a session, by outcome");
  const changes = counter("session_changes_total", "Sessions opened, resumed, suspended and ended (by reason)");
  const overflows = counter("outbox_overflows_total", "Sessions that ended because their client did not acknowledge");
  const replicas = counter("replica_changes_total", "Other replicas found, lost or gone in order");
  const attempts = counter("attempts_total", "Steps of connection attempts that peers reported, by outcome");
  const durations = meter.createHistogram("culvert_signaling_attempt_seconds", {
    description: "How long those steps took",
    unit: "s",
    advice: { explicitBucketBoundaries: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] },
  });
  const gauge = (name: string, description: string, read: () => number): void =>
    meter
      .createObservableGauge(`culvert_signaling_${name}`, { description })
      .addCallback((result) => result.observe(read()));

  for (const reason of Object.keys(ERRORS)) refusals.add(0, { reason });
  overflows.add(0);
  for (const outcome of ["replayed", "gap"]) resumes.add(0, { outcome });
  for (const change of ["found", "lost", "left"]) replicas.add(0, { change });
  for (const outcome of ["ok", "failed"]) attempts.add(0, { outcome });
  gauge("connections", "Open WebSocket connections", gauges.connections);
  gauge("sessions", "Sessions, those that wait to be resumed included", gauges.sessions);
  gauge("replicas", "Other replicas that live", gauges.replicas);
  gauge("keys", "Signing keys known", gauges.keys);
  gauge("keys_connected", "1 while the keys are known to be current", () => (gauges.keysConnected() ? 1 : 0));
  gauge("bus_up", "1 while the event bus reaches other processes", () => (gauges.busUp() ? 1 : 0));

  return {
    refused: (reason) => refusals.add(1, { reason }),
    observe: (event) => {
      switch (event.name) {
        case "message":
          messages.add(1, { direction: event.direction, type: event.type });
          return;
        case "refused":
          refusals.add(1, { reason: event.reason });
          return;
        case "resume":
          resumes.add(1, { outcome: event.outcome });
          return;
        case "session":
          changes.add(1, { change: event.change, ...(event.reason === undefined ? {} : { reason: event.reason }) });
          return;
        case "outbox-overflow":
          overflows.add(1);
          return;
        case "replica":
          replicas.add(1, { change: event.change });
          return;
        case "attempt":
          attempts.add(1, { outcome: event.ok ? "ok" : "failed" });
          durations.record(event.ms / 1000);
      }
    },
  };
}
