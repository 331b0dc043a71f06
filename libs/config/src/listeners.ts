import { z } from "zod";
import type { CertificateFiles } from "./certificate.ts";
import { coturn } from "./meta.ts";

/** The key `tls` of a service with TLS listeners. */
export function certificateSection(): z.ZodExactOptional<z.ZodType<CertificateFiles>> {
  return z
    .strictObject({
      cert: coturn(z.string(), "cert").describe("PEM file: the certificate, the intermediates after it."),
      key: coturn(z.string(), "pkey").describe("PEM file: the private key."),
      checkInterval: z
        .number()
        .positive()
        .max(86_400)
        .default(10)
        .describe("Seconds between looks at the two files. New ones serve new sessions; so does SIGHUP at once."),
    })
    .exactOptional()
    .describe("Certificate of the TLS listeners.");
}

/** Refuses TLS listeners without a certificate. */
export function checkCertificate(
  section: string,
): z.core.CheckFn<{ readonly listeners: readonly { readonly transport: string }[]; readonly tls?: unknown }> {
  return ({ value: { listeners, tls }, issues }) => {
    const index = listeners.findIndex(({ transport }) => transport === "tls");
    if (index < 0 || tls !== undefined) return;
    issues.push({
      code: "custom",
      input: "tls",
      path: ["listeners", index, "transport"],
      message: `needs ${section}.tls.cert and ${section}.tls.key`,
    });
  };
}

type DatagramLimit = "recvBufferSize" | "sendBufferSize";
type StreamLimit = "streamFirstMessageMs" | "streamFrameMs" | "streamIdleMs" | "maxStreams" | "maxStreamsPerSource";
type Fields<Key extends string> = Record<Key, z.ZodDefault<z.ZodInt>>;
type Defaults<Key extends string> = Readonly<Record<Key, number>>;

/** Key `dataPlane.kind`. */
export function dataPlaneKind(): z.ZodDefault<z.ZodEnum<{ auto: "auto"; node: "node"; native: "native" }>> {
  return z
    .enum(["auto", "node", "native"])
    .default("auto")
    .describe("Portable (node) or fast, on Linux (native); auto: the fast one where it is built.");
}

/** Keys of `dataPlane` for UDP listeners. */
export function datagramLimits(defaults: Defaults<DatagramLimit>): Fields<DatagramLimit> {
  return {
    recvBufferSize: byteCount()
      .default(defaults.recvBufferSize)
      .describe("SO_RCVBUF of UDP listeners in bytes; the kernel may grant less."),
    sendBufferSize: byteCount()
      .default(defaults.sendBufferSize)
      .describe("SO_SNDBUF of UDP listeners in bytes; the kernel may grant less."),
  };
}

/** Keys of `dataPlane` for TCP and TLS listeners. `idle` says which streams count as idle, in words. */
export function streamLimits(defaults: Defaults<StreamLimit>, idle = "idle"): Fields<StreamLimit> {
  return {
    streamFirstMessageMs: milliseconds()
      .default(defaults.streamFirstMessageMs)
      .describe("Milliseconds from accept to the first message, the TLS handshake included."),
    streamFrameMs: milliseconds()
      .default(defaults.streamFrameMs)
      .describe("Milliseconds from the first byte of a message to its last."),
    streamIdleMs: milliseconds().default(defaults.streamIdleMs).describe(`Milliseconds a stream may be ${idle}.`),
    maxStreams: z.int().min(1).default(defaults.maxStreams).describe("Open TCP and TLS clients."),
    maxStreamsPerSource: z
      .int()
      .min(1)
      .default(defaults.maxStreamsPerSource)
      .describe("Open TCP and TLS clients of one IPv4 address or IPv6 /64."),
  };
}

/** Size of a buffer or a queue in bytes: 1 KiB to 1 GiB. */
export function byteCount(): z.ZodInt {
  return z.int().min(1024).max(1_073_741_824);
}

function milliseconds(): z.ZodInt {
  return z.int().min(100).max(3_600_000);
}
