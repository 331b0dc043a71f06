import {
  coturn,
  grpcServerTls,
  ipAddress,
  ipRange,
  listenPort,
  logLevel,
  natsSection,
  opsSection,
  origin,
  port,
  redisSection,
  secret,
  sharedToken,
  telemetrySection,
} from "@culvert/config";
import { ID_PATTERN } from "@culvert/credentials";
import { parseStunUri, parseTurnUri } from "@culvert/stun";
import { z } from "zod";
import { APPLICATION_SCOPES, type CredentialServiceConfig, SCOPES } from "./config.ts";

const id = () => z.string().regex(ID_PATTERN, "must be 1 to 64 letters, digits, _ or -");
const ttl = () => z.int().min(1).max(31_536_000);

const http = z
  .strictObject({
    host: ipAddress().default("127.0.0.1").describe("Address of the API. In a pod: 0.0.0.0."),
    port: listenPort().default(8080).describe("TCP port of the API; 0 takes a free one."),
    corsOrigins: z
      .array(origin("*"))
      .default([])
      .describe("Origins whose pages may call the API from a browser. None by default: tokens belong on servers."),
    trustedProxies: z
      .array(ipRange())
      .default([])
      .describe("Proxies whose X-Forwarded-For is believed. Failures are counted by the address found there."),
    maxBodyBytes: z
      .int()
      .min(1024)
      .max(1_048_576)
      .default(16_384)
      .describe("Largest request body in bytes; beyond: 413."),
    requestTimeout: z
      .number()
      .min(1)
      .max(15)
      .default(10)
      .describe("Seconds in which a whole request must have arrived; its headers in half of them."),
    drain: z
      .number()
      .min(0)
      .max(60)
      .default(0)
      .describe(
        "Seconds that the API goes on when it stops, as long as connections are open. Each answer then closes its connection, so that no " +
          "request meets a closed one. 1 or 2 where a load balancer or an application keeps connections open.",
      ),
    maxConnections: z.int().min(1).default(10_000).describe("Open connections."),
    maxConnectionsPerSource: z
      .int()
      .min(1)
      .default(256)
      .describe("Open connections of one IPv4 address or IPv6 /64; trusted proxies do not count."),
  })
  .prefault({})
  .describe("The public HTTP API.");

const grpc = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Whether the key feed is served."),
    host: ipAddress().default("127.0.0.1").describe("Address of the key feed. In a pod: 0.0.0.0, with token or tls."),
    port: listenPort().default(9090).describe("TCP port of the key feed; 0 takes a free one."),
    token: sharedToken().exactOptional().describe("Token that watchers must present. It reads every signing secret."),
    tls: grpcServerTls("watchers").describe("TLS of the key feed; plaintext when absent."),
    maxWatchers: z.int().min(1).max(100_000).default(1000).describe("Watchers at once; beyond: RESOURCE_EXHAUSTED."),
  })
  .prefault({})
  .describe("gRPC: KeyService.WatchKeys, which relays and signaling follow.");

const turn = z
  .strictObject({
    stunPort: port().default(3478).describe("Port of the STUN servers."),
    port: port().default(3478).describe("Port of the relays for UDP and TCP."),
    transports: z
      .array(z.enum(["udp", "tcp"]))
      .default(["udp", "tcp"])
      .describe("What the relays serve on that port."),
    tlsPort: port().exactOptional().describe("Port of the relays for TLS. No turns: URI when absent."),
  })
  .prefault({})
  .describe("Ports of the URIs under publicHost.");

const isIceUri = (text: string): boolean => parseStunUri(text) !== undefined || parseTurnUri(text) !== undefined;

const key = z.strictObject({
  kid: id().describe("Name of the key inside usernames. Unique over all tenants."),
  secret: secret(z.string().min(16)).describe("The secret. coturn calls it static-auth-secret."),
  notAfter: z
    .int()
    .min(1)
    .exactOptional()
    .describe("Seconds since the Unix epoch. A key with an end retires: it verifies until then and signs no more."),
});

const token = z.strictObject({
  id: id().describe("Name of the token. Unique over all tenants."),
  token: secret(z.string().min(16)).describe("The token itself."),
  name: z.string().min(1).max(128).exactOptional().describe("For people."),
  scopes: z
    .array(z.enum(SCOPES))
    .min(1)
    .default([...APPLICATION_SCOPES])
    .describe("What it may do."),
});

const tenant = z.strictObject({
  id: id().describe("Name of the tenant in paths and claims."),
  name: z.string().min(1).max(128).exactOptional().describe("For people."),
  quotas: z
    .strictObject({
      allocationsPerUser: z.int().min(1).exactOptional().describe("Allocations that a user may hold at once."),
      bytesPerSecond: z.int().min(1).exactOptional().describe("Bytes per second of an allocation, each direction."),
    })
    .prefault({})
    .describe("What credentials entitle to."),
  limits: z
    .strictObject({ maxTtl: ttl().exactOptional().describe("Longest lifetime of credentials in seconds.") })
    .prefault({})
    .describe("What may be asked for."),
  keys: z.array(key).default([]).describe("Signing keys. The first without an end signs, all verify."),
  tokens: z.array(token).default([]).describe("API tokens."),
});

/** Section `credential`. */
export const credentialConfigSchema: z.ZodType<CredentialServiceConfig> = z
  .strictObject({
    http,
    grpc,
    publicHost: z
      .string()
      .min(1)
      .refine(
        (host) => isIceUri(`stun:${host.includes(":") ? `[${host}]` : host}`),
        "must be a host name or an IP address",
      )
      .exactOptional()
      .describe("Name or address under which clients reach STUN servers and relays."),
    turn,
    uris: z
      .array(z.string().refine(isIceUri, "must be a stun:, stuns:, turn: or turns: URI (RFC 7064, RFC 7065)"))
      .default([])
      .describe("URIs that clients are told, in this order. In place of publicHost and turn."),
    adminToken: sharedToken()
      .exactOptional()
      .describe("Token of the administrator, who may do everything in all tenants."),
    staticAuthSecrets: secret(coturn(z.array(z.string().min(1)), "static-auth-secret", "use-auth-secret"))
      .default([])
      .describe(
        "Secrets of the tenant default. The first signs, all verify. Applications may mint with them themselves.",
      ),
    tenants: z.array(tenant).default([]).describe("Tenants that are there from the start."),
    issue: z
      .strictObject({
        defaultTtl: ttl().default(86_400).describe("Lifetime in seconds for who asks for none."),
        maxTtl: ttl().default(172_800).describe("Longest lifetime in seconds."),
        traceContext: z
          .boolean()
          .default(true)
          .describe(
            "Whether what is issued for a traced request names its trace, so that the relay goes on with it. Relays from before this key refuse such credentials: switch it off while they run.",
          ),
      })
      .refine((issue) => issue.defaultTtl <= issue.maxTtl, {
        path: ["defaultTtl"],
        message: "must not exceed credential.issue.maxTtl",
      })
      .prefault({})
      .describe("What is issued."),
    failures: z
      .strictObject({
        burst: z.int().min(1).default(10).describe("Failed authentications of one source at once."),
        perMinute: z
          .number()
          .positive()
          .default(10)
          .describe("Failed authentications of one source a minute; beyond: 429."),
        maxSources: z.int().min(1).default(20_000).describe("Sources that are remembered."),
      })
      .prefault({})
      .describe("Slows down who guesses tokens. A source is an IPv4 address or an IPv6 /64."),
    maxRevocations: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe("Revocations of one tenant that are in force at once."),
    redis: redisSection(
      "Tenants, tokens, signing keys and revocations, which services that name the same Redis share. Without it they are in memory.",
    ).exactOptional(),
    nats: natsSection("Revocations are told over them as they are made. The key feed is what counts."),
    telemetry: telemetrySection(),
    ops: opsSection(9103),
    logLevel: logLevel(),
  })
  .check(({ value: config, issues }) => {
    const seen = new Set<string>();
    for (const [index, { id: name, keys, tokens }] of config.tenants.entries()) {
      const ids: [string, (string | number)[]][] = [
        [`tenant ${name}`, ["id"]],
        ...keys.map((each, at): [string, (string | number)[]] => [`key ${each.kid}`, ["keys", at, "kid"]]),
        ...tokens.map((each, at): [string, (string | number)[]] => [`token ${each.id}`, ["tokens", at, "id"]]),
      ];
      for (const [text, path] of ids) {
        if (seen.has(text)) {
          issues.push({ code: "custom", input: text, path: ["tenants", index, ...path], message: "must be unique" });
        }
        seen.add(text);
      }
    }
  });
