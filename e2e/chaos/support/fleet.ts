import { eventually } from "../../support/eventually.ts";
import { total } from "../../support/metrics.ts";
import { type NatsProcess, startNats } from "./nats.ts";
import { type RedisProcess, startRedis } from "./redis.ts";
import { RelayProcess } from "./relay.ts";
import type { Stage } from "./stage.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export const USER = "chaos";
export const PASSWORD = "a password of the tests";
export const ACCOUNT = { username: USER, password: PASSWORD } as const;
const SECRET = "the secret that the relays of a fleet share in the tests";

/** Each run has loopback addresses of its own. */
const NET = `127.${64 + (process.pid % 64)}.${(process.pid >> 6) % 256}`;

export interface FleetOptions {
  /** Names of the relays. */
  readonly relays: readonly string[];
  readonly nats?: boolean;
  /** Relayed ports of each. */
  readonly ports?: { readonly min: number; readonly max: number };
  /** What comes on top in section `relay` of each. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** What comes on top in section `relay.fleet` of each. */
  readonly fleet?: Readonly<Record<string, unknown>>;
  readonly frontend?: string;
  readonly drainSeconds?: number;
  readonly wrap?: readonly string[];
  readonly env?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly redisArgs?: readonly string[];
  /** No proxy is between relays and Redis: `redis` of a relay does nothing. It would take part of what is measured. */
  readonly direct?: boolean;
  /** Relays collect garbage at SIGUSR2. */
  readonly collects?: boolean;
}

export interface FleetRelay extends RelayProcess {
  readonly ip: string;
  readonly uri: string;
  /** Between this relay and Redis. */
  readonly redis: TcpProxy;
}

export interface LoopbackFleet {
  readonly relays: readonly FleetRelay[];
  readonly redis: RedisProcess;
  readonly nats: NatsProcess | undefined;
  /** TURN URIs, in the order of the relays. */
  readonly uris: readonly string[];
  /** Where peers live. */
  readonly peerIp: string;
}

export const TURN_PORT = 3478;
const OPS_PORT = 9101;

/** Relays on loopback addresses of their own, with a real Redis, and a proxy between each and Redis. */
export async function startLoopbackFleet(stage: Stage, options: FleetOptions): Promise<LoopbackFleet> {
  const redis = await startRedis(stage, options.redisArgs);
  const nats = options.nats ? await startNats(stage) : undefined;
  const relays: FleetRelay[] = [];
  for (const [index, name] of options.relays.entries()) {
    const ip = `${NET}.${index + 1}`;
    const proxy = await TcpProxy.open(stage, { host: redis.host, port: redis.port });
    const config = relaySection({
      ...options,
      name,
      ip,
      redisUrl: `redis://127.0.0.1:${options.direct === true ? redis.port : proxy.port}`,
      natsUrl: nats?.url,
    });
    const relay = await RelayProcess.create(stage, {
      name,
      config,
      ops: { host: ip, port: OPS_PORT },
      ...(options.collects === true ? { collects: true } : {}),
      ...(options.wrap === undefined ? {} : { wrap: options.wrap }),
      ...(options.env?.[name] === undefined ? {} : { env: options.env[name] }),
    });
    relays.push(Object.assign(relay, { ip, uri: `turn:${ip}:${TURN_PORT}`, redis: proxy }));
  }
  await Promise.all(relays.map((relay) => relay.start()));
  return { relays, redis, nats, uris: relays.map(({ uri }) => uri), peerIp: `${NET}.200` };
}

/** Waits until each relay serves slots and reaches all others. */
export async function untilAcquainted(relays: readonly RelayProcess[]): Promise<void> {
  for (const relay of relays) {
    await eventually(`${relay.name} knows the others`, async () => {
      const samples = await relay.metrics();
      const known = total(samples, "culvert_relay_mesh_peers") >= relays.length - 1;
      return (known && total(samples, "culvert_relay_slots_held") > 0) || undefined;
    });
  }
}

export interface SectionOptions extends Omit<FleetOptions, "relays" | "nats"> {
  readonly name: string;
  /** Of the listener, the relayed addresses and the mesh. */
  readonly ip: string;
  readonly redisUrl: string;
  readonly natsUrl: string | undefined;
  /** More addresses, such as one that moves from host to host. */
  readonly shared?: readonly string[];
}

/** Section `relay` of a relay's configuration. */
export function relaySection(options: SectionOptions): Record<string, unknown> {
  const { name, ip, ports = { min: 20_000, max: 22_047 }, shared = [], frontend, drainSeconds = 30 } = options;
  const listener = (at: string): object => ({
    transport: "udp",
    ip: at,
    port: TURN_PORT,
    ...(frontend === undefined ? {} : { frontend }),
  });
  return {
    listeners: [ip, ...shared].map(listener),
    addresses: shared.length > 0 ? shared : [ip],
    ports,
    // Clients refresh often, so that refreshes meet the faults.
    lifetime: { default: 30, max: 600 },
    auth: { users: [ACCOUNT] },
    peers: { dangerouslyAllow: ["127.0.0.0/8"], allow: ["10.77.0.0/24"] },
    // All clients of a test have one address; those of the world do not.
    limits: { unauthenticatedPerSecond: 100_000, unauthenticatedBurst: 100_000 },
    dataPlane: { kind: "native" },
    drain: { timeout: drainSeconds },
    ...options.config,
    fleet: {
      identity: name,
      secrets: [SECRET],
      redis: { url: options.redisUrl },
      ...(options.natsUrl === undefined ? {} : { nats: { servers: [options.natsUrl] } }),
      mesh: { ip, port: 3479 },
      ...options.fleet,
    },
  };
}
