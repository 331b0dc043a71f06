import {
  coturn,
  grpcClientTls,
  grpcTarget,
  ipAddress,
  ipRange,
  listenPort,
  logLevel,
  opsSection,
  port,
  secret,
  sharedToken,
} from "@culvert/config";
import { z } from "zod";
import type { RelayConfig } from "./config.ts";
import { checkListeners, checkTls } from "./config-checks.ts";

const listener = z.strictObject({
  transport: z.enum(["udp", "tcp", "tls"]).describe("What clients speak: TURN over UDP, TCP or TLS."),
  ip: coturn(ipAddress(), "listening-ip").default("0.0.0.0").describe("Address of this host. 0.0.0.0 and :: take all."),
  port: coturn(listenPort(), "listening-port", "tls-listening-port")
    .default(3478)
    .describe("Port of the listener; 0 takes a free one. Customary: 3478, and 5349 or 443 for TLS."),
});

const tls = z
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

const isAddress = (text: string): boolean => ipAddress().safeParse(text).success;

/** `auto`, an address, or coturn's `public/private`. */
const addressText = z
  .string()
  .transform((text) => {
    const [first = "", second, ...rest] = text.split("/");
    return rest.length > 0 ? { ip: text } : second === undefined ? { ip: first } : { ip: second, external: first };
  })
  .pipe(
    z.strictObject({
      ip: z.string().refine((ip) => ip === "auto" || isAddress(ip), "must be an IP address, auto, or public/private"),
      external: z.string().refine(isAddress, "must be an IP address, auto, or public/private").exactOptional(),
    }),
  );

const addressMapping = z.strictObject({
  ip: z
    .string()
    .refine((ip) => ip === "auto" || isAddress(ip), "must be an IP address or auto")
    .describe("Address of this host, or auto: the first that is not loopback."),
  external: ipAddress()
    .exactOptional()
    .describe("Address that clients and peers know it by, where that is another one."),
});

const relayAddress = z
  .union([addressText, addressMapping])
  .refine(({ ip }) => !["0.0.0.0", "::"].includes(ip), "must be one address, since peers are told it; not a wildcard");

const portRange = {
  min: coturn(port(), "min-port").default(49_152).describe("First port."),
  max: coturn(port(), "max-port").default(65_535).describe("Last port."),
};

const isOrdered = ({ min, max }: { readonly min: number; readonly max: number }): boolean => min <= max;

const auth = z
  .strictObject({
    nonceKeys: secret(z.array(z.string().min(16)))
      .default([])
      .describe("Keys for nonces, shared by a fleet. The first makes nonces, all are accepted. Random when empty."),
    nonceLifetime: coturn(z.int().min(30).max(86_400), "stale-nonce")
      .default(3600)
      .describe("Seconds until a nonce is stale and the client is told a new one (438)."),
    algorithms: z
      .array(z.enum(["sha256", "md5"]))
      .default(["sha256", "md5"])
      .describe("PASSWORD-ALGORITHMS (RFC 8489), the preferred first. Empty: as RFC 5389, without the attribute."),
    users: coturn(
      z.array(
        z.strictObject({
          username: z.string().min(1).max(508).describe("USERNAME, as the client sends it."),
          password: secret(z.string().min(1)).describe("The password."),
          tenant: z.string().min(1).default("default").describe("Whose quotas count."),
        }),
      ),
      "user",
      "lt-cred-mech",
    )
      .default([])
      .describe("Users that no credential service issues."),
    secrets: secret(coturn(z.array(z.string().min(1)), "static-auth-secret", "use-auth-secret"))
      .default([])
      .describe("Secrets of the tenant default for usernames <expiry>:<user>, as TURN REST has it. All are tried."),
  })
  .prefault({})
  .describe("Who may allocate, apart from what the credential service issues.");

const credential = z
  .strictObject({
    target: grpcTarget()
      .exactOptional()
      .describe("host:port of the credential service's gRPC listener. Keys come from there."),
    token: sharedToken().exactOptional().describe("Token shared with the credential service."),
    tls: grpcClientTls(),
  })
  .prefault({})
  .describe("The credential service that is followed.");

const peers = z
  .strictObject({
    allow: coturn(z.array(ipRange()), "allowed-peer-ip")
      .default([])
      .describe("Private ranges that are peers all the same. By default no private range is."),
    dangerouslyAllow: coturn(z.array(ipRange()), "allow-loopback-peers")
      .default([])
      .describe("Ranges that are peers although they are never meant to be: loopback, link-local, metadata. Logged."),
    deny: coturn(z.array(ipRange()), "denied-peer-ip")
      .default([])
      .describe("Ranges that are no peers, whatever is allowed."),
    backends: z
      .array(z.string().min(1))
      .default([])
      .describe(
        "Hosts of the platform itself (names, addresses, ranges), such as Redis and NATS. They are denied as peers.",
      ),
    fleet: z
      .array(
        z.strictObject({
          range: ipRange().describe("Relayed addresses of other relays."),
          ports: z
            .strictObject({ min: port().describe("First port."), max: port().describe("Last port.") })
            .refine(isOrdered, { path: ["min"], message: "must not exceed max" })
            .exactOptional()
            .describe("Their relayed ports; 49152 to 65535 when absent."),
        }),
      )
      .default([])
      .describe("Relays of the own fleet: always peers, at their relayed ports."),
  })
  .prefault({})
  .describe("Which addresses may be peers.");

const limits = z
  .strictObject({
    permissions: z.int().min(1).max(65_536).default(256).describe("Permissions of one allocation; beyond: 508."),
    channels: z.int().min(1).max(4096).default(256).describe("Channels of one allocation; beyond: 508."),
    maxBps: coturn(z.int().min(1), "max-bps")
      .exactOptional()
      .describe("Bytes per second of one relayed address, each direction. A credential may set less, never more."),
    newPeersPerSecond: z.number().positive().default(50).describe("New peers of one allocation a second; beyond: 508."),
    newPeersBurst: z.int().min(1).default(200).describe("New peers of one allocation at once."),
    unauthenticatedPerSecond: z
      .number()
      .positive()
      .default(100)
      .describe("401 and 438 answers to one source (/32 or /64) a second; beyond: no answer."),
    unauthenticatedBurst: z.int().min(1).default(400).describe("401 and 438 answers to one source at once."),
  })
  .prefault({})
  .describe("What one allocation and one source may use.");

const bytes = () => z.int().min(1024).max(1_073_741_824);
const milliseconds = () => z.int().min(100).max(3_600_000);
const MIB = 1024 * 1024;

const dataPlane = z
  .strictObject({
    kind: z
      .enum(["auto", "node", "native"])
      .default("auto")
      .describe("Portable (node) or fast, on Linux (native); auto: the fast one where it is built."),
    workers: z
      .int()
      .min(1)
      .max(256)
      .exactOptional()
      .describe("Threads of the native data plane. Default: one for each core."),
    recvBufferSize: bytes()
      .default(4 * MIB)
      .describe("SO_RCVBUF of UDP listeners in bytes; the kernel may grant less."),
    sendBufferSize: bytes()
      .default(4 * MIB)
      .describe("SO_SNDBUF of UDP listeners in bytes; the kernel may grant less."),
    relayBufferSize: bytes().default(MIB).describe("SO_RCVBUF and SO_SNDBUF of each relay socket in bytes."),
    datagramQueueBytes: bytes()
      .default(MIB)
      .describe("Bytes that may wait for one UDP socket before packets are dropped."),
    streamQueueBytes: bytes()
      .default(256 * 1024)
      .describe("Bytes that may wait for one TCP or TLS client before relayed data is dropped."),
    streamHardQueueBytes: bytes()
      .default(MIB)
      .describe("Bytes that may wait for one TCP or TLS client before it is closed."),
    streamFirstMessageMs: milliseconds()
      .default(15_000)
      .describe("Milliseconds from accept to the first message, the TLS handshake included."),
    streamFrameMs: milliseconds()
      .default(15_000)
      .describe("Milliseconds from the first byte of a message to its last."),
    streamIdleMs: milliseconds().default(60_000).describe("Milliseconds a stream may be idle without an allocation."),
    maxStreams: z.int().min(1).default(20_000).describe("Open TCP and TLS clients."),
    maxStreamsPerSource: z
      .int()
      .min(1)
      .default(256)
      .describe("Open TCP and TLS clients of one IPv4 address or IPv6 /64."),
  })
  .prefault({})
  .describe("Sockets and their buffers.");

/** Section `relay`. */
export const relayConfigSchema: z.ZodType<RelayConfig> = z
  .strictObject({
    realm: coturn(z.string().min(1).max(127), "realm")
      .default("culvert")
      .describe("REALM of the long-term credentials."),
    software: z
      .string()
      .max(127)
      .exactOptional()
      .describe("SOFTWARE, told to authenticated clients only. Not told when absent."),
    listeners: coturn(z.array(listener).min(1), "no-udp", "no-tcp", "no-tls")
      .default([
        { transport: "udp", ip: "0.0.0.0", port: 3478 },
        { transport: "tcp", ip: "0.0.0.0", port: 3478 },
      ])
      .describe("Where clients are served."),
    tls,
    addresses: coturn(z.array(relayAddress).min(1), "relay-ip", "external-ip")
      .prefault(["auto"])
      .describe("Where relayed addresses are taken from: addresses of this host, auto, public/private, or mappings."),
    ports: z
      .strictObject(portRange)
      .refine(isOrdered, { path: ["min"], message: "must not exceed relay.ports.max" })
      .prefault({})
      .describe("Relayed ports, on each address."),
    lifetime: z
      .strictObject({
        default: z
          .int()
          .min(1)
          .max(86_400)
          .default(600)
          .describe("Seconds, for a client that asks for none or for less."),
        max: coturn(z.int().min(1).max(86_400), "max-allocate-lifetime")
          .default(3600)
          .describe("The most that is granted."),
      })
      .refine((lifetime) => lifetime.default <= lifetime.max, {
        path: ["default"],
        message: "must not exceed relay.lifetime.max",
      })
      .prefault({})
      .describe("LIFETIME of allocations."),
    auth,
    credential,
    peers,
    quotas: z
      .strictObject({
        user: coturn(z.int().min(1), "user-quota")
          .exactOptional()
          .describe(
            "Allocations of one user, unless its credential says otherwise; beyond: 486. No limit when absent.",
          ),
        tenant: z
          .int()
          .min(1)
          .exactOptional()
          .describe("Allocations of one tenant; beyond: 486. No limit when absent."),
        total: coturn(z.int().min(1), "total-quota")
          .exactOptional()
          .describe("Allocations of this relay; beyond: 508. No limit but the ports when absent."),
      })
      .prefault({})
      .describe("Allocations at once."),
    rfc5766Channels: coturn(z.boolean(), "rfc5766-channel-numbers")
      .default(true)
      .describe(
        "Clients that log in as RFC 5389 has it may bind channels 0x5000 to 0x7FFF, as RFC 5766 allowed. Otherwise 400.",
      ),
    limits,
    dataPlane,
    drain: z
      .strictObject({
        timeout: z
          .number()
          .min(0)
          .max(604_800)
          .default(3)
          .describe(
            "Seconds that a stopping relay goes on serving what it has. New allocations are refused meanwhile.",
          ),
      })
      .prefault({})
      .describe("Graceful stop."),
    ops: opsSection(9101),
    logLevel: logLevel(),
    logAddresses: z
      .enum(["hashed", "plain"])
      .default("hashed")
      .describe("How client and peer addresses stand in the log. Hashes differ from one start to the next."),
  })
  .check(checkListeners, checkTls);
