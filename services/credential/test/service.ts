import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import { loadConfig } from "@culvert/config";
import {
  type CredentialService,
  type CredentialServiceConfig,
  type CredentialServiceInfo,
  type CredentialServicePorts,
  createCredentialService,
  credentialConfigSchema,
} from "@culvert/credential-service";
import { KeyRing } from "@culvert/credentials";
import { createMemoryCredentialStore } from "@culvert/state";
import { createLogger, createMetrics } from "@culvert/telemetry";
import { nodeCrypto } from "@culvert/testkit";
import { afterEach } from "vitest";

export const NOW = 1_700_000_000;
export const ADMIN = "admin-token-of-the-tests";
export const APP = "app-token-of-tenant-acme";
export const DEFAULT_APP = "app-token-of-the-default-tenant";
export const SECRET = "north-north-north";
export const ACME_SECRET = "acme-secret-acme-secret";

export const URIS = {
  stun: ["stun:turn.example.org:3478"],
  turn: [
    "turn:turn.example.org:3478?transport=udp",
    "turn:turn.example.org:3478?transport=tcp",
    "turns:turn.example.org:443?transport=tcp",
  ],
};

/** What the tests start with, merged under the overrides of each. */
const BASE = {
  http: { port: 0 },
  grpc: { port: 0 },
  ops: { port: 0 },
  uris: [...URIS.stun, ...URIS.turn],
  adminToken: ADMIN,
  staticAuthSecrets: [SECRET],
  logLevel: "debug",
  tenants: [
    { id: "default", tokens: [{ id: "default-app", token: DEFAULT_APP }] },
    { id: "acme", keys: [{ kid: "acme-1", secret: ACME_SECRET }], tokens: [{ id: "acme-app", token: APP }] },
  ],
};

export interface Clock {
  (): number;
  /** Seconds. */
  advance(seconds: number): void;
}

export interface Running {
  readonly service: CredentialService;
  readonly info: CredentialServiceInfo;
  readonly url: string;
  readonly clock: Clock;
  readonly store: CredentialServicePorts["store"];
  /** Every log line so far. */
  readonly lines: string[];
  metrics(): Promise<string>;
  /** The configuration that the tests start with, with these differences. */
  config(overrides: Readonly<Record<string, unknown>>): CredentialServiceConfig;
  /** A request whose JSON answer is parsed. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
}

export interface CallOptions {
  readonly token?: string;
  readonly basic?: readonly [user: string, password: string];
  readonly json?: unknown;
  readonly form?: URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

const running: CredentialService[] = [];
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
});

function createClock(): Clock {
  let now = NOW * 1000;
  return Object.assign(() => now, {
    advance(seconds: number) {
      now += seconds * 1000;
    },
  });
}

/** A credential service on free ports of loopback. It stops after the test. */
export async function startService(
  overrides: Readonly<Record<string, unknown>> = {},
  ports: Partial<CredentialServicePorts> = {},
): Promise<Running> {
  const load = (changes: Readonly<Record<string, unknown>>): CredentialServiceConfig =>
    loadConfig(credentialConfigSchema, { section: "credential", env: {}, overrides: { ...BASE, ...changes } });
  const config = load(overrides);
  const clock = createClock();
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const metrics = createMetrics({ service: "credential", process: false });
  const store = ports.store ?? createMemoryCredentialStore();
  const service = createCredentialService(config, {
    clock,
    random: { bytes: (count) => randomBytes(count) },
    logger: createLogger({ service: "credential", level: config.logLevel, destination }),
    metrics,
    ...ports,
    store,
  });
  running.push(service);
  const info = await service.start();
  const { url } = info.api;

  const call = async (method: string, path: string, options: CallOptions = {}): Promise<Answer> => {
    const headers: Record<string, string> = { ...options.headers };
    if (options.token !== undefined) headers.authorization = `Bearer ${options.token}`;
    if (options.basic !== undefined) {
      headers.authorization = `Basic ${Buffer.from(options.basic.join(":")).toString("base64")}`;
    }
    if (options.json !== undefined) headers["content-type"] = "application/json";
    const body = options.json === undefined ? options.form : JSON.stringify(options.json);
    const response = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
  };
  return { service, info, url, clock, store, lines, metrics: () => metrics.collect(), call, config: load };
}

/** What a relay in the same process says of a username: "ok", or why it is rejected. */
export function verifierOf({ service, clock }: Running): (username: string) => string {
  const ring = new KeyRing({ crypto: nodeCrypto });
  service.keyFeed.watch({
    onSnapshot: (snapshot) => ring.replace(snapshot),
    onChange: (change) => ring.apply(change),
  });
  return (username) => {
    const resolution = ring.resolve(username, clock() / 1000);
    return resolution.ok ? "ok" : resolution.reason;
  };
}

/** The text member of an answer at a path such as `iceServers.1.username`. */
export function textAt(body: unknown, path: string): string {
  const value = path.split(".").reduce<unknown>((at, key) => {
    return typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined;
  }, body);
  if (typeof value !== "string") throw new Error(`${path}: no text in ${JSON.stringify(body)}`);
  return value;
}
