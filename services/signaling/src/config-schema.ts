import {
  credentialSection,
  ipAddress,
  ipRange,
  listenPort,
  logLevel,
  natsSection,
  opsSection,
  origin,
  telemetrySection,
} from "@culvert/config";
import { DEFAULT_LIMITS } from "@culvert/rendezvous";
import { z } from "zod";
import type { SignalingConfig } from "./config.ts";

const count = (max: number) => z.int().min(1).max(max);

const session = z
  .strictObject({
    helloTimeout: z
      .number()
      .min(1)
      .max(15)
      .default(DEFAULT_LIMITS.helloTimeoutMs / 1000)
      .describe("Seconds from the connection to an accepted hello."),
    resumeTtl: z
      .number()
      .min(1)
      .max(3600)
      .default(DEFAULT_LIMITS.resumeTtlMs / 1000)
      .describe("Seconds for which a session without a connection can be resumed."),
    pingInterval: z
      .number()
      .min(1)
      .max(300)
      .default(DEFAULT_LIMITS.pingMs / 1000)
      .describe("Seconds between keep-alives. A connection that shows no sign of life for two of them is closed."),
  })
  .prefault({})
  .describe("Times of a session.");

const limits = z
  .strictObject({
    messageBytes: z.int().min(1024).max(65_536).default(DEFAULT_LIMITS.messageBytes).describe("Bytes of one message."),
    depth: z.int().min(8).max(64).default(DEFAULT_LIMITS.depth).describe("How deep a message may nest."),
    outboxMessages: count(4096)
      .default(DEFAULT_LIMITS.outboxMessages)
      .describe("Messages that a client may leave unacknowledged; beyond: slow_consumer."),
    outboxBytes: z.int().min(65_536).max(262_144).default(DEFAULT_LIMITS.outboxBytes).describe("The same in bytes."),
    messagesPerSecond: z
      .number()
      .min(1)
      .max(10_000)
      .default(DEFAULT_LIMITS.messagesPerSecond)
      .describe("Messages of one client a second, in the long run."),
    messageBurst: count(100_000).default(DEFAULT_LIMITS.messageBurst).describe("Messages of one client at once."),
    roomsPerSession: count(256).default(DEFAULT_LIMITS.roomsPerSession).describe("Rooms that one session is in."),
    membersPerRoom: count(1024).default(DEFAULT_LIMITS.membersPerRoom).describe("Sessions in one room."),
    sessionsPerUser: count(1024).default(DEFAULT_LIMITS.sessionsPerUser).describe("Sessions of one user."),
    watchesPerSession: count(10_000)
      .default(DEFAULT_LIMITS.watchesPerSession)
      .describe("Users whose presence one session watches."),
  })
  .prefault({})
  .describe("What one client, user or room may use.");

const cluster = z
  .strictObject({
    beaconInterval: z.number().min(0.1).max(60).default(1).describe("Seconds between two signs of life on the bus."),
    replicaTimeout: z
      .number()
      .min(0.5)
      .max(300)
      .default(5)
      .describe("Seconds without a sign of life after which another replica, with its sessions, counts as lost."),
    settle: z
      .number()
      .min(0)
      .max(30)
      .default(0.3)
      .describe("Seconds in which a starting replica learns from the others, before it takes connections."),
  })
  .refine((times) => times.replicaTimeout >= 2 * times.beaconInterval, {
    path: ["replicaTimeout"],
    message: "must be at least twice signaling.cluster.beaconInterval",
  })
  .prefault({})
  .describe("How replicas know of each other.");

/** Section `signaling`. */
export const signalingConfigSchema: z.ZodType<SignalingConfig> = z.strictObject({
  listen: z
    .strictObject({
      host: ipAddress().default("127.0.0.1").describe("Address of the WebSocket server. In a pod: 0.0.0.0."),
      port: listenPort().default(8081).describe("TCP port of the WebSocket server; 0 takes a free one."),
    })
    .prefault({})
    .describe("Where clients connect: ws://host:port/v1/signaling. TLS is the ingress's."),
  origins: z
    .array(origin())
    .default([])
    .describe("Origins whose pages may connect. Empty: all, since no cookie lets anybody in."),
  trustedProxies: z
    .array(ipRange())
    .default([])
    .describe("Proxies whose X-Forwarded-For is believed. Connections are counted by the address found there."),
  maxConnections: count(1_000_000).default(20_000).describe("Open connections."),
  maxConnectionsPerSource: count(1_000_000)
    .default(256)
    .describe("Open connections of one IPv4 address or IPv6 /64; trusted proxies do not count."),
  credential: credentialSection("The keys that verify tokens"),
  nats: natsSection("They join the replicas. Without them this replica is the only one."),
  session,
  limits,
  cluster,
  drain: z
    .strictObject({
      timeout: z
        .number()
        .min(0)
        .max(3600)
        .default(3)
        .describe("Seconds that a stopping service leaves its clients to go elsewhere, after goaway."),
    })
    .prefault({})
    .describe("Graceful stop."),
  telemetry: telemetrySection(),
  ops: opsSection(9104),
  logLevel: logLevel(),
});
