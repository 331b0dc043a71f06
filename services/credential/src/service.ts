import { GrpcTlsKeeper, planChange, tellChange } from "@culvert/config";
import { KeyRing, type KeySource, type KeyWatch, type Revocation } from "@culvert/credentials";
import { FailureLimiter, Lifecycle, nodeCrypto } from "@culvert/runtime";
import { type ReadyState, serveOps } from "@culvert/telemetry";
import { NOT_TRACED } from "@culvert/tracing";
import { bootstrap } from "./bootstrap.ts";
import type { CredentialServiceConfig } from "./config.ts";
import { createApi } from "./http/api.ts";
import type { Api } from "./http/context.ts";
import { Issuer } from "./issuer.ts";
import { createKeyFeed } from "./key-feed.ts";
import { createKeyServer, type KeyServer } from "./key-service.ts";
import { createCredentialMetrics } from "./metrics.ts";
import type { CredentialServicePorts } from "./ports.ts";
import { publishRevocation } from "./revocation-event.ts";
import { Revoker } from "./revoker.ts";
import { storeAnswers } from "./store.ts";
import { TokenAuthenticator } from "./tokens.ts";
import { urisOf } from "./uris.ts";

const PRUNE_MS = 60_000;
/** Keys that may change while the service runs. */
const LIVE_KEYS = ["adminToken", "grpc.token", "tenants", "staticAuthSecrets", "logLevel"] as const;

/** Where the service listens. */
export interface CredentialServiceInfo {
  readonly api: { readonly host: string; readonly port: number; readonly url: string };
  /** Absent when switched off. */
  readonly grpc?: { readonly host: string; readonly port: number };
  /** Absent when switched off. */
  readonly ops?: { readonly host: string; readonly port: number };
  /** `METHOD /path` of all that the API serves. */
  readonly routes: readonly string[];
}

export interface CredentialService {
  /**
   * Brings the declared tenants into the store and listens. Rejects with a `ConfigError`, or with the error of what could
   * not be listened on, and has closed everything again then.
   */
  start(): Promise<CredentialServiceInfo>;
  /** Answers what has been asked, ends key watches and closes. Idempotent. */
  stop(): Promise<void>;
  /**
   * Reads certificates again, and takes over tokens and the log level of another configuration. What it declares anew comes
   * into the store; what it does not declare any more stays there.
   */
  reload(next?: CredentialServiceConfig): void;
  ready(): ReadyState;
  /** The keys for verifiers in this process; they need no gRPC. */
  readonly keyFeed: KeySource;
}

/** The credential service: HTTP API, key feed and ops server over a store. */
export function createCredentialService(
  config: CredentialServiceConfig,
  ports: CredentialServicePorts,
): CredentialService {
  const { store, clock, random, logger, metrics: meters } = ports;
  const uris = ports.uris ?? (() => configured);
  const configured = ports.uris === undefined ? urisOf(config) : { stun: [], turn: [] };
  const files = config.grpc.tls;
  const tls = files && new GrpcTlsKeeper({ prefix: "credential.grpc.tls", files, logger });
  let current = config;

  const ring = new KeyRing({ crypto: nodeCrypto });
  const keyFeed = createKeyFeed(store, logger);
  const metrics = createCredentialMetrics(meters, ring);
  const limiter = new FailureLimiter(config.failures);
  // One of its own: a relay with a wrong token asks without end, and must not lock out applications on its host.
  const feedLimiter = new FailureLimiter(config.failures);
  const issuer = new Issuer({ store, ring, config: config.issue, clock, random });
  const onRevoked = (revocation: Revocation): void => {
    metrics.revoked(revocation.subject.kind);
    publishRevocation(ports.bus, revocation, logger);
  };
  const revoker = new Revoker({
    store,
    ring,
    maxTtl: config.issue.maxTtl,
    limit: config.maxRevocations,
    clock,
    onRevoked,
  });
  const onFailure = (): void => metrics.authenticationFailed("http");
  const authenticator = new TokenAuthenticator({ store, adminToken: config.adminToken, limiter, clock, onFailure });

  let api: Api | undefined;
  let keyServer: KeyServer | undefined;
  let closeOps: (() => Promise<void>) | undefined;
  let watch: KeyWatch | undefined;
  let pruning: NodeJS.Timeout | undefined;
  let serving = false;

  const prune = async (): Promise<void> => {
    const now = issuer.now();
    ring.prune(now);
    try {
      await store.pruneRevocations(now);
    } catch (error) {
      logger.warn({ err: error }, "expired revocations could not be removed from the store");
    }
  };

  const ready = (): ReadyState => {
    const needed = {
      serving: serving ? "ok" : "not serving",
      store: watch?.connected() === true ? "ok" : "the keys have not been read",
    };
    // Shown, and no more: what goes over the bus is told by the key feed, too.
    const busHealth = ports.bus?.health();
    const bus = busHealth === undefined ? {} : { bus: busHealth.up ? "ok" : (busHealth.reason ?? "down") };
    return { ready: Object.values(needed).every((check) => check === "ok"), checks: { ...needed, ...bus } };
  };

  const declare = (): void => {
    bootstrap(store, current, issuer.now()).catch((error: unknown) => {
      const problem = error instanceof Error ? error.message : String(error);
      logger.error({ problem }, "what is declared is not in the store");
    });
  };

  const start = async (): Promise<CredentialServiceInfo> => {
    await storeAnswers(store, logger);
    await bootstrap(store, config, issuer.now());
    watch = keyFeed.watch({
      onSnapshot: (snapshot) => {
        ring.replace(snapshot);
        // Another one comes where the store has lost what came before.
        if (serving) declare();
      },
      onChange: (change) => ring.apply(change),
    });
    await watch.ready;
    pruning = setInterval(() => void prune(), PRUNE_MS);
    pruning.unref();

    const { tracing } = ports;
    const created = await createApi(
      { config, store, issuer, revoker, authenticator, metrics, random, uris, tracing },
      logger,
    );
    api = created.api;
    await api.listen({ host: config.http.host, port: config.http.port });
    const address = api.server.address();
    const port = typeof address === "object" && address !== null ? address.port : config.http.port;
    const shownHost = urlHost(config.http.host);
    const info = { api: { host: config.http.host, port, url: `http://${shownHost}:${port}` }, routes: created.routes };

    const { enabled, host, port: grpcPort, token, maxWatchers } = config.grpc;
    keyServer = enabled
      ? createKeyServer({
          host,
          port: grpcPort,
          token: () => current.grpc.token,
          tls,
          maxWatchers,
          feed: keyFeed,
          tracing: tracing ?? NOT_TRACED,
          limiter: feedLimiter,
          metrics,
          clock,
          logger,
        })
      : undefined;
    const grpc = await keyServer?.listen();
    if (enabled && token === undefined && tls?.current.ca === undefined && !isLoopback(host)) {
      logger.warn(
        { host },
        "the key feed tells every signing secret to whoever asks: set credential.grpc.token or tls.ca",
      );
    }
    const ops = await serveOps({ ...config.ops, metrics: meters, ready, logger }, (closeServer) => {
      closeOps = closeServer;
    });
    serving = true;
    logger.info({ api: info.api.url, grpc, ops }, "credential service serves");
    return { ...info, ...(grpc === undefined ? {} : { grpc }), ...(ops === undefined ? {} : { ops }) };
  };

  const close = async (): Promise<void> => {
    serving = false;
    clearInterval(pruning);
    await api?.close();
    await keyServer?.close();
    watch?.close();
    tls?.close();
    await closeOps?.();
  };
  const life = new Lifecycle({ start, stopped: () => logger.info("credential service stopped") });
  // In an order of its own: what the API answers last still reaches the watchers.
  life.onClose(close);
  const reload = (next?: CredentialServiceConfig): void => {
    tls?.reload();
    if (next === undefined) return;
    const plan = planChange(current, next, LIVE_KEYS);
    current = plan.config;
    if (plan.changed.includes("logLevel")) logger.level = current.logLevel;
    authenticator.setAdminToken(current.adminToken);
    tellChange(logger, "credential", plan);
    if (plan.changed.some((key) => key === "tenants" || key === "staticAuthSecrets")) declare();
  };
  return { start: () => life.start(), stop: () => life.stop(), reload, ready, keyFeed };
}

/** The host for a URL that a client on this machine can use. */
function urlHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
