import type { DataPlane } from "@culvert/dataplane";
import { type StunOutput, TURN_DROP_REASONS } from "@culvert/turn";
import type { Counter, Meter } from "@opentelemetry/api";

export interface StunMetrics {
  /** Counts one event of the STUN server. */
  observe(event: Extract<StunOutput, { type: "event" }>): void;
  /** The partner was asked to send. */
  countAsked(outcome: "ok" | "failed"): void;
  /** A partner asked this server to send. */
  countRespond(outcome: "sent" | "refused" | "unauthenticated"): void;
  countReload(ok: boolean): void;
}

export interface StunGauges {
  /** Whether the partner answers; undefined where none is configured. */
  readonly partnerUp: () => boolean | undefined;
  /** Seconds since the Unix epoch; undefined without TLS. */
  readonly certificateNotAfter: () => number | undefined;
}

/** Creates the instruments of a STUN server. No label holds an address or a port. */
export function createStunMetrics(meter: Meter, dataPlane: DataPlane, gauges: StunGauges): StunMetrics {
  const counter = (name: string, description: string): Counter =>
    meter.createCounter(`culvert_stun_${name}`, { description });
  const requests = counter(
    "requests_total",
    "Answered Binding requests by transport and code (success, or the error code)",
  );
  const dropped = counter("dropped_total", "Messages without an answer, by reason");
  const asked = counter("partner_asked_total", "Answers that the partner was asked to send, by outcome");
  const responded = counter("partner_responded_total", "Answers that were sent for a partner, by outcome");
  const reloads = counter("reloads_total", "Certificates read again, by outcome");
  for (const reason of TURN_DROP_REASONS) dropped.add(0, { reason });
  for (const outcome of ["ok", "failed"]) reloads.add(0, { outcome });

  meter
    .createObservableCounter("culvert_stun_data_plane_dropped_total", {
      description: "What the data plane dropped, by reason",
    })
    .addCallback((result) => {
      for (const [reason, count] of Object.entries(dataPlane.counters().dropped)) result.observe(count, { reason });
    });
  meter
    .createObservableGauge("culvert_stun_streams", { description: "Open TCP and TLS clients" })
    .addCallback((result) => result.observe(dataPlane.counters().streams));
  meter
    .createObservableGauge("culvert_stun_partner_up", { description: "1 while the partner answers from its address" })
    .addCallback((result) => {
      const up = gauges.partnerUp();
      if (up !== undefined) result.observe(Number(up));
    });
  meter
    .createObservableGauge("culvert_stun_certificate_not_after_seconds", {
      description: "When the certificate of the TLS listeners ends, in seconds since the Unix epoch",
    })
    .addCallback((result) => {
      const notAfter = gauges.certificateNotAfter();
      if (notAfter !== undefined) result.observe(notAfter);
    });

  return {
    observe: (event) => {
      if (event.name === "dropped") dropped.add(1, { reason: event.reason });
      else requests.add(1, { transport: event.transport, code: event.code ?? "success" });
    },
    countAsked: (outcome) => asked.add(1, { outcome }),
    countRespond: (outcome) => responded.add(1, { outcome }),
    countReload: (ok) => reloads.add(1, { outcome: ok ? "ok" : "failed" }),
  };
}
