import { ACCOUNT, relaySection } from "../chaos/support/fleet.ts";
import { type NatsProcess, startNats } from "../chaos/support/nats.ts";
import { type RedisProcess, startRedis } from "../chaos/support/redis.ts";
import type { Stage } from "../chaos/support/stage.ts";
import type { ApiAccess } from "../support/api.ts";
import { writeTestCertificate } from "../support/certificate.ts";
import { freePorts } from "../support/ports.ts";
import { type ServiceOptions, ServiceProcess } from "./process.ts";

const HOST = "127.0.0.1";
/** Each run has loopback addresses of its own. */
const NET = `127.${192 + (process.pid % 48)}.${(process.pid >> 6) % 256}`;
const FEED_TOKEN = "shared by the services of the tests";
const PARTNER_TOKEN = "shared by the two STUN servers";
export const ADMIN_TOKEN = "a-token-of-the-administrator-of-all";
export const TURN_PORT = 3478;
export const TLS_PORT = 5349;
/** Long enough for all that is looked at while a relay drains. */
const DRAIN_SECONDS = 115;

export interface Platform {
  readonly redis: RedisProcess;
  readonly nats: NatsProcess;
  readonly credential: ServiceProcess;
  readonly relays: readonly ServiceProcess[];
  readonly signaling: readonly ServiceProcess[];
  readonly stun: readonly ServiceProcess[];
  readonly all: readonly ServiceProcess[];
  readonly access: ApiAccess;
  readonly relayIps: readonly string[];
  readonly stunIps: readonly string[];
  readonly signalingUrls: readonly string[];
  /** Where peers of clients live. */
  readonly peerIp: string;
  /** Of the relays and the STUN servers; their keepers look for changes. */
  readonly certificate: { readonly cert: string; readonly key: string };
}

export { ACCOUNT };

/** All services as processes, as a small installation has them: three relays, two replicas of signaling, two STUN servers. */
export async function startPlatform(stage: Stage): Promise<Platform> {
  // Tenants and their tokens must be there again after it was away.
  const redis = await startRedis(stage, ["--appendonly", "yes", "--appendfsync", "always"]);
  const nats = await startNats(stage);
  const certificate = await writeTestCertificate(await stage.folder());
  const [http = 0, grpc = 0, partner = 0, wsA = 0, wsB = 0, ...ops] = await freePorts(13);
  const redisUrl = `redis://${redis.host}:${redis.port}`;
  const bus = { servers: [nats.url.replace("nats://", "")] };
  const feed = { target: `${HOST}:${grpc}`, token: FEED_TOKEN };
  const access = { apiUrl: `http://${HOST}:${http}`, keyId: "first", token: "an-api-token-of-the-tenant" };
  let used = 0;
  const start = (service: ServiceOptions["service"], name: string, section: object) =>
    ServiceProcess.start(stage, { name, service, section, opsPort: ops[used++] ?? 0 });

  const credential = await start("credential", "credential-0", {
    http: { port: http },
    grpc: { port: grpc, token: FEED_TOKEN },
    publicHost: HOST,
    turn: { port: TURN_PORT },
    adminToken: ADMIN_TOKEN,
    redis: { url: redisUrl },
    nats: bus,
    staticAuthSecrets: ["the secret that the application shares"],
    tenants: [
      {
        id: "default",
        keys: [{ kid: access.keyId, secret: "the signing key of the tenant" }],
        tokens: [
          { id: "app", token: access.token, scopes: ["credentials:issue", "credentials:revoke", "signaling:issue"] },
        ],
      },
    ],
  });
  const relayIps = [1, 2, 3].map((last) => `${NET}.${last}`);
  const relays = await Promise.all(
    relayIps.map((ip, index) => {
      const name = `relay-${index}`;
      const listeners = [
        { transport: "udp", ip, port: TURN_PORT },
        { transport: "tcp", ip, port: TURN_PORT },
        { transport: "tls", ip, port: TLS_PORT },
      ];
      const tls = { ...certificate, checkInterval: 1 };
      const section = relaySection({
        name,
        ip,
        redisUrl,
        natsUrl: nats.url,
        drainSeconds: DRAIN_SECONDS,
        config: {
          listeners,
          tls,
          dataPlane: { kind: "auto" },
          credential: feed,
          grpc: { port: 0, token: ADMIN_TOKEN },
        },
        fleet: { onStateLoss: "refuse" },
      });
      return start("relay", name, section);
    }),
  );
  // Sessions that nobody resumes end while somebody looks.
  const common = { credential: feed, nats: bus, session: { resumeTtl: 5 } };
  const signaling = [
    await start("signaling", "signaling-0", { listen: { port: wsA }, ...common }),
    await start("signaling", "signaling-1", { listen: { port: wsB }, ...common }),
  ];
  const stunIps = [4, 5].map((last) => `${NET}.${last}`);
  const [askerIp = "", helperIp = ""] = stunIps;
  const stunSection = (ip: string, more: object): object => ({
    listeners: [
      { transport: "udp", ip, port: TURN_PORT },
      { transport: "tls", ip, port: TLS_PORT },
    ],
    tls: { ...certificate, checkInterval: 1 },
    alternate: { port: 3479 },
    partner: { token: PARTNER_TOKEN, interval: 1, ...more },
  });
  const stun = [
    await start("stun", "stun-1", stunSection(helperIp, { listen: { ip: helperIp, port: partner } })),
    await start("stun", "stun-0", stunSection(askerIp, { target: `${helperIp}:${partner}` })),
  ];
  return {
    redis,
    nats,
    credential,
    relays,
    signaling,
    stun,
    all: [credential, ...relays, ...signaling, ...stun],
    access,
    relayIps,
    stunIps,
    signalingUrls: [wsA, wsB].map((port) => `ws://${HOST}:${port}/v1/signaling`),
    peerIp: `${NET}.200`,
    certificate,
  };
}
