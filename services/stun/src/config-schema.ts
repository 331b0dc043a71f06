import {
  certificateSection,
  checkCertificate,
  coturn,
  datagramLimits,
  dataPlaneKind,
  grpcClientTls,
  grpcServerTls,
  grpcTarget,
  ipAddress,
  ipAddressOrAuto,
  listenPort,
  logLevel,
  opsSection,
  sharedToken,
  splitAddress,
  streamLimits,
  telemetrySection,
} from "@culvert/config";
import { DEFAULT_LIMITS } from "@culvert/dataplane";
import { z } from "zod";
import type { StunConfig } from "./config.ts";

const external = () => coturn(ipAddress(), "external-ip").exactOptional();

const listener = z.strictObject({
  transport: z.enum(["udp", "tcp", "tls"]).describe("What clients speak: STUN over UDP, TCP or TLS."),
  ip: coturn(ipAddressOrAuto(), "listening-ip")
    .default("0.0.0.0")
    .describe("Address of this host; auto: the first that is not loopback. 0.0.0.0 and :: take all."),
  port: coturn(listenPort(), "listening-port", "tls-listening-port")
    .default(3478)
    .describe("Port of the listener; 0 takes a free one."),
  external: external().describe("Address that clients know it by, where that is another one."),
});

const alternateIp = z.strictObject({
  ip: ipAddress().describe("Second address of this host."),
  external: external().describe("Address that clients know it by, where that is another one."),
});

/** An address, or coturn's `public/private`. */
const alternateText = z.string().transform(splitAddress).pipe(alternateIp);

const alternate = z
  .strictObject({
    port: coturn(listenPort(), "alt-listening-port")
      .default(3479)
      .describe("Second port, on every address that serves UDP; 0 takes a free one."),
    ips: coturn(z.array(z.union([alternateText, alternateIp])), "alt-listening-ip")
      .default([])
      .describe("Second address, one for each family: plain or public/private. Without, a partner stands in for it."),
  })
  .exactOptional()
  .describe("Behaviour discovery (RFC 5780). The first UDP listener of each family is the primary. Off when absent.");

const partner = z
  .strictObject({
    target: grpcTarget()
      .exactOptional()
      .describe("host:port of the partner's gRPC listener: it answers from its address."),
    token: sharedToken().describe("Token shared by the two partners. It keeps others from sending with our address."),
    tls: grpcClientTls(),
    interval: z
      .number()
      .min(0.1)
      .max(3600)
      .default(5)
      .describe("Seconds between two questions for the partner's addresses."),
    listen: z
      .strictObject({
        ip: ipAddress().default("0.0.0.0").describe("Address of the gRPC listener."),
        port: listenPort().default(3480).describe("TCP port of the gRPC listener; 0 takes a free one."),
        tls: grpcServerTls("partners").describe("TLS of the gRPC listener; plaintext when absent."),
      })
      .exactOptional()
      .describe("gRPC listener on which this server is a partner to another. Off when absent."),
  })
  .exactOptional()
  .describe("Another STUN server that answers from its address where this one has none of its own.");

const dataPlane = z
  .strictObject({
    kind: dataPlaneKind(),
    workers: z
      .int()
      .min(1)
      .max(256)
      .default(1)
      .describe("Threads of the native data plane. They receive for the one thread that answers."),
    ...datagramLimits(DEFAULT_LIMITS),
    ...streamLimits(DEFAULT_LIMITS),
  })
  .prefault({})
  .describe("Sockets and their buffers.");

/** Section `stun`. */
export const stunConfigSchema: z.ZodType<StunConfig> = z
  .strictObject({
    listeners: z
      .array(listener)
      .min(1)
      .default([
        { transport: "udp", ip: "0.0.0.0", port: 3478 },
        { transport: "tcp", ip: "0.0.0.0", port: 3478 },
      ])
      .describe("Where clients are served."),
    tls: certificateSection(),
    alternate,
    partner,
    dataPlane,
    telemetry: telemetrySection(),
    ops: opsSection(9102),
    logLevel: logLevel(),
  })
  .check(checkCertificate("stun"), checkAlternate, checkPartner);

type Context = z.core.ParsePayload<StunConfig>;

function refuse({ issues }: Context, path: readonly PropertyKey[], input: unknown, message: string): void {
  issues.push({ code: "custom", input, path: [...path], message });
}

function checkAlternate(context: Context): void {
  const { listeners, alternate: second } = context.value;
  if (second === undefined) return;
  if (!listeners.some(({ transport }) => transport === "udp")) {
    refuse(context, ["listeners"], listeners, "must have a UDP listener for stun.alternate");
  }
  for (const [index, { transport, ip, external: known }] of listeners.entries()) {
    const wildcard = ip === "0.0.0.0" || ip === "::";
    if (transport !== "udp" || !wildcard) continue;
    if (second.ips.length > 0 || known === undefined) {
      refuse(
        context,
        ["listeners", index, "ip"],
        ip,
        "must be one address, or auto, since stun.alternate tells it to clients",
      );
    }
  }
}

function checkPartner(context: Context): void {
  const { partner: other, alternate: second } = context.value;
  if (other === undefined || second !== undefined) return;
  refuse(context, ["partner"], other, "needs stun.alternate, since partners answer from two ports");
}
