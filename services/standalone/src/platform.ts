import { ConfigError, readTelemetryAccess } from "@culvert/config";
import { createCredentialService, openStore } from "@culvert/credential-service";
import { createMemoryBus, tracedBus } from "@culvert/events";
import { createRelayService } from "@culvert/relay-service";
import { monotonicClock as clock, systemRandom as random } from "@culvert/runtime";
import { createSignalingService } from "@culvert/signaling-service";
import { createStunService } from "@culvert/stun-service";
import { createLogger, createMetrics, createTracing, type Logger } from "@culvert/telemetry";
import type { StandaloneConfig } from "./config.ts";
import { type Access, issueFirst } from "./first-request.ts";
import type { Ready } from "./ready.ts";
import { type PlatformUris, publicHost, urisOf } from "./uris.ts";

export interface PlatformOptions {
  /** The address under which clients reach listeners that are bound to all addresses. */
  readonly host: string;
  readonly pretty: boolean;
}

export interface Platform {
  /** Starts all services. Rejects with a one-line error of the first that cannot start; none runs then. */
  start(): Promise<Ready>;
  /** Stops all services, the one that others depend on last. */
  stop(): Promise<void>;
  /** Reads certificates again, and takes over what may change of another configuration. */
  reload(next?: StandaloneConfig): void;
}

interface Part {
  stop(): Promise<void>;
}

/** The four services in one process, on a memory bus; their state is in memory, or where the configuration names it. */
export function createStandaloneService(config: StandaloneConfig, options: PlatformOptions): Platform {
  const logger = (service: string, level: string): Logger => createLogger({ service, level, pretty: options.pretty });

  let uris: PlatformUris = { stun: [], turn: [] };
  const bus = createMemoryBus();
  const credentialLogger = logger("credential", config.credential.logLevel);
  const access = readTelemetryAccess("credential.telemetry", config.credential.telemetry, process.env);
  const credentialMetrics = createMetrics({ service: "credential", access, logger: credentialLogger });
  const tracing = createTracing({ service: "credential", access, logger: credentialLogger });
  const store = openStore(config.credential, credentialLogger, credentialMetrics);
  const credential = createCredentialService(config.credential, {
    store,
    bus: tracing.configured ? tracedBus(bus, tracing) : bus,
    tracing,
    clock,
    random,
    logger: credentialLogger,
    metrics: credentialMetrics,
    ...(config.credential.uris.length > 0 ? {} : { uris: () => uris }),
  });
  const relay = createRelayService(config.relay, {
    keys: credential.keyFeed,
    clock,
    random,
    logger: logger("relay", config.relay.logLevel),
  });
  const stun = createStunService(config.stun, { clock, logger: logger("stun", config.stun.logLevel) });
  const signaling = createSignalingService(config.signaling, {
    bus,
    keys: credential.keyFeed,
    clock,
    random,
    logger: logger("signaling", config.signaling.logLevel),
  });

  /** What was started, in that order. */
  const running: Part[] = [];
  const stop = async (): Promise<void> => {
    for (const part of running.splice(0).reverse()) await part.stop();
    await store.close();
    await bus.close();
    await Promise.all([tracing.shutdown(), credentialMetrics.shutdown()]);
  };
  const start = async <Info>(part: Part & { start(): Promise<Info> }): Promise<Info> => {
    const info = await part.start();
    running.push(part);
    return info;
  };

  return {
    async start() {
      const access = firstAccess(config);
      try {
        await tracing.start();
        const { api, ops: credentialOps } = await start(credential);
        const relayInfo = await start(relay);
        const host = publicHost(relayInfo.listeners, config.credential.publicHost, options.host);
        uris = urisOf(relayInfo.listeners, host);
        const stunInfo = await start(stun);
        const signalingInfo = await start(signaling);
        const apiUrl = httpUrl(api);
        const port = relayInfo.listeners.find(({ transport }) => transport !== "tls")?.port ?? 0;
        const tlsPort = relayInfo.listeners.find(({ transport }) => transport === "tls")?.port;
        return {
          apiUrl,
          ...access,
          realm: config.relay.realm,
          iceServers: await issueFirst(apiUrl, access),
          turn: { host, port, ...(tlsPort === undefined ? {} : { tlsPort }) },
          signalingUrl: signalingInfo.url,
          ...adminAccess(relayInfo.grpc, config.relay.grpc?.token),
          opsUrls: opsUrls({
            relay: relayInfo.ops,
            stun: stunInfo.ops,
            credential: credentialOps,
            signaling: signalingInfo.ops,
          }),
        };
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    reload(next) {
      credential.reload(next?.credential);
      relay.reload(next?.relay);
      stun.reload(next?.stun);
      signaling.reload(next?.signaling);
    },
  };
}

/** The key id and the token that a first request can use. */
function firstAccess({ credential }: StandaloneConfig): Access {
  for (const { keys, tokens } of credential.tenants) {
    const [key] = keys;
    const token = tokens.find(({ scopes }) => scopes.includes("credentials:issue"));
    if (key !== undefined && token !== undefined) return { keyId: key.kid, token: token.token };
  }
  throw new ConfigError(
    "credential.tenants: must hold a tenant with a key and a token of scope credentials:issue, for the first request",
  );
}

interface Bound {
  readonly host: string;
  readonly port: number;
}

function adminAccess(grpc: Bound | undefined, token: string | undefined): Pick<Ready, "admin"> {
  if (grpc === undefined) return {};
  const endpoint = new URL(httpUrl(grpc)).host;
  return { admin: { endpoint, ...(token === undefined ? {} : { token }) } };
}

const ANY: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

function httpUrl({ host, port }: Bound): string {
  const reachable = ANY[host] ?? host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

function opsUrls(bound: Readonly<Record<string, Bound | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(bound).flatMap(([service, ops]) => (ops === undefined ? [] : [[service, httpUrl(ops)]])),
  );
}
