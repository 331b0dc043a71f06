import {
  byteCount,
  certificateSection,
  checkCertificate,
  coturn,
  credentialSection,
  datagramLimits,
  dataPlaneKind,
  grpcServerTls,
  ipAddress,
  ipAddressOrAuto,
  ipRange,
  isIpAddress,
  listenPort,
  logLevel,
  opsSection,
  port,
  secret,
  sharedToken,
  splitAddress,
  streamLimits,
  telemetrySection,
} from "@culvert/config";
import { DEFAULT_LIMITS } from "@culvert/dataplane";
import { z } from "zod";
import type { RelayConfig } from "./config.ts";
import { checkFleet, checkListeners } from "./config-checks.ts";
import { externalAddressSection } from "./external/schema.ts";
import { fleetSection } from "./fleet/schema.ts";

const listener = z.strictObject({
  transport: z.enum(["udp", "tcp", "tls"]).describe("What clients speak: TURN over UDP, TCP or TLS."),
  ip: coturn(ipAddress(), "listening-ip").default("0.0.0.0").describe("Address of this host. 0.0.0.0 and :: take all."),
  port: coturn(listenPort(), "listening-port", "tls-listening-port")
    .default(3478)
    .describe("Port of the listener; 0 takes a free one. Customary: 3478, and 5349 or 443 for TLS."),
  frontend: z
    .string()
    .regex(/^[^\s]{1,128}$/, "must be 1 to 128 characters without spaces")
    .exactOptional()
    .describe(
      "In a fleet: name of the address that clients know, shared by relays behind one load balancer. Default: the listener's own.",
    ),
});

/** `auto`, an address, or coturn's `public/private`. */
const addressText = z
  .string()
  .transform(splitAddress)
  .pipe(
    z.strictObject({
      ip: z.string().refine((ip) => ip === "auto" || isIpAddress(ip), "must be an IP address, auto, or public/private"),
      external: z.string().refine(isIpAddress, "must be an IP address, auto, or public/private").exactOptional(),
    }),
  );

const addressMapping = z.strictObject({
  ip: ipAddressOrAuto().describe("Address of this host, or auto: the first that is not loopback."),
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
    wrongPasswordsPerSecond: z
      .number()
      .positive()
      .default(1)
      .describe(
        "Wrong passwords for one user name from one source (/32 or /64) a second; beyond: no answer, even to the right one.",
      ),
    wrongPasswordsBurst: z
      .int()
      .min(1)
      .default(20)
      .describe("Wrong passwords for one user name from one source at once."),
  })
  .prefault({})
  .describe("What one allocation and one source may use.");

const dataPlane = z
  .strictObject({
    kind: dataPlaneKind(),
    workers: z
      .int()
      .min(1)
      .max(256)
      .exactOptional()
      .describe("Threads of the native data plane. Default: one for each core."),
    ...datagramLimits(DEFAULT_LIMITS),
    relayBufferSize: byteCount()
      .default(DEFAULT_LIMITS.relayBufferSize)
      .describe("SO_RCVBUF and SO_SNDBUF of each relay socket in bytes."),
    datagramQueueBytes: byteCount()
      .default(DEFAULT_LIMITS.datagramQueueBytes)
      .describe("Bytes that may wait for one UDP socket of the portable data plane before packets are dropped."),
    streamQueueBytes: byteCount()
      .default(DEFAULT_LIMITS.streamQueueBytes)
      .describe("Bytes that may wait for one TCP or TLS client before relayed data is dropped."),
    streamHardQueueBytes: byteCount()
      .default(DEFAULT_LIMITS.streamHardQueueBytes)
      .describe("Bytes that may wait for one TCP or TLS client before it is closed."),
    ...streamLimits(DEFAULT_LIMITS, "idle without an allocation"),
  })
  .prefault({})
  .describe("Sockets and their buffers.");

const grpc = z
  .strictObject({
    host: ipAddress().default("127.0.0.1").describe("Address of the server. In a pod: 0.0.0.0."),
    port: listenPort().default(9191).describe("TCP port of the server; 0 takes a free one."),
    token: sharedToken()
      .exactOptional()
      .describe("Token that operators must present. It shows users and addresses, and ends allocations."),
    tls: grpcServerTls("operators").describe("TLS of the server; plaintext when absent."),
  })
  .refine(({ token, tls }) => token !== undefined || tls?.ca !== undefined, {
    path: ["token"],
    message: "must be set, or relay.grpc.tls.ca",
  })
  .exactOptional()
  .describe("gRPC: RelayService, which shows and ends allocations and drains relays. Off when absent.");

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
    tls: certificateSection(),
    addresses: coturn(z.array(relayAddress).min(1), "relay-ip", "external-ip")
      .prefault(["auto"])
      .describe("Where relayed addresses are taken from: addresses of this host, auto, public/private, or mappings."),
    externalAddress: externalAddressSection(),
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
    credential: credentialSection("Keys"),
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
    mobility: coturn(z.enum(["allowed", "ignored", "forbidden"]), "mobility")
      .exactOptional()
      .describe(
        "Clients that keep their allocation when their address changes (RFC 8016): allowed, ignored as if unknown, or forbidden (405). Default: allowed in a fleet, ignored otherwise.",
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
    fleet: fleetSection(),
    grpc,
    telemetry: telemetrySection(),
    ops: opsSection(9101),
    logLevel: logLevel(),
    logAddresses: z
      .enum(["hashed", "plain"])
      .default("hashed")
      .describe("How client and peer addresses stand in the log. Hashes differ from one start to the next."),
  })
  .check(checkListeners, checkFleet, checkCertificate("relay"));
