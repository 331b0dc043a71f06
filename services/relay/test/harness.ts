import dgram from "node:dgram";
import { once } from "node:events";
import { loadConfig } from "@culvert/config";
import {
  createRelayService,
  type RelayInfo,
  type RelayPorts,
  type RelayService,
  relayConfigSchema,
} from "@culvert/relay-service";
import type { TransportAddress } from "@culvert/stun";
import { createLogger } from "@culvert/telemetry";
import { type ConnectOptions, connectTurn, type TurnClient, type TurnError } from "@culvert/turn-client";
import { afterEach } from "vitest";

export const USER = { username: "alice", password: "wonderland" } as const;

const LISTENERS = [
  { transport: "udp", ip: "127.0.0.1", port: 0 },
  { transport: "tcp", ip: "127.0.0.1", port: 0 },
] as const;

/** A relay on loopback with one static user. Its peers are on loopback too, which it takes `dangerouslyAllow` to reach. */
const CONFIG = {
  listeners: LISTENERS,
  addresses: ["127.0.0.1"],
  auth: { users: [USER] },
  peers: { dangerouslyAllow: ["127.0.0.0/8", "::1/128"] },
  ops: { port: 0 },
  drain: { timeout: 0 },
};

/**
 * Nothing is lost on loopback. What takes long is waited for: a request that is sent again on a busy machine is counted
 * twice by the relay.
 */
const PATIENT: NonNullable<ConnectOptions["timers"]> = {
  schedule(milliseconds, callback) {
    const timer = setTimeout(callback, 6 * milliseconds);
    return () => clearTimeout(timer);
  },
};

const closers: (() => unknown)[] = [];

export function later(close: () => unknown): void {
  closers.push(close);
}

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

export interface TestRelay {
  readonly service: RelayService;
  readonly info: RelayInfo;
  /** Parsed log lines. */
  readonly logs: readonly Record<string, unknown>[];
  uri(transport: "udp" | "tcp" | "tls"): string;
  /** The sum of a metric over the lines that hold all given labels, fetched over HTTP. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  connect(transport: "udp" | "tcp" | "tls", options?: Partial<ConnectOptions>): Promise<TurnClient>;
  /** Has the relay take over another configuration: that of the tests with these differences. */
  reconfigure(overrides: Readonly<Record<string, unknown>>): void;
}

export async function startRelay(
  overrides: Readonly<Record<string, unknown>> = {},
  ports: RelayPorts = {},
): Promise<TestRelay> {
  const logs: Record<string, unknown>[] = [];
  const logger = createLogger({ service: "relay", destination: { write: (line) => void logs.push(JSON.parse(line)) } });
  const load = (changes: Readonly<Record<string, unknown>>) =>
    loadConfig(relayConfigSchema, { section: "relay", env: {}, defaults: CONFIG, overrides: changes });
  const service = createRelayService(load(overrides), { logger, ...ports });
  const info = await service.start();
  later(() => service.stop());

  const listener = (transport: string) => {
    const found = info.listeners.find((one) => one.transport === transport);
    if (found === undefined) throw new Error(`no ${transport} listener`);
    const host = found.ip.includes(":") ? `[${found.ip}]` : found.ip;
    return `${host}:${found.port}`;
  };
  const uri = (transport: "udp" | "tcp" | "tls") =>
    transport === "tls"
      ? `turns:${listener("tls")}?transport=tcp`
      : `turn:${listener(transport)}?transport=${transport}`;
  return {
    service,
    info,
    logs,
    uri,
    reconfigure: (changes) => service.reload(load(changes)),
    metric: async (name, labels = {}) => {
      const response = await fetch(`http://${info.ops?.host}:${info.ops?.port}/metrics`);
      return sumOf(await response.text(), name, labels);
    },
    connect: async (transport, options = {}) => {
      const client = await connectTurn({
        uri: uri(transport),
        ...USER,
        timeoutMs: 5_000,
        timers: PATIENT,
        ...options,
      });
      later(() => client.close({ release: false }));
      return client;
    },
  };
}

export function sumOf(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .filter((line) => Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

export interface Peer {
  readonly address: TransportAddress;
  /** All that it received, as text. */
  readonly received: readonly string[];
  send(to: TransportAddress, text: string): void;
}

/** A UDP socket that answers everything with `echo:` before it, unless told to be silent. */
export async function startPeer(options: { readonly ip?: string; readonly echo?: boolean } = {}): Promise<Peer> {
  const { ip = "127.0.0.1", echo = true } = options;
  const socket = dgram.createSocket(ip.includes(":") ? "udp6" : "udp4");
  const received: string[] = [];
  socket.on("message", (message, from) => {
    received.push(message.toString());
    if (echo) socket.send(`echo:${message}`, from.port, from.address);
  });
  socket.bind(0, ip);
  await once(socket, "listening");
  later(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return {
    address: { ip, port: socket.address().port },
    received,
    send: (to, text) => socket.send(text, to.port, to.ip),
  };
}

/** Data that comes to a client, in order; `next` waits for it. */
export function inbox(client: TurnClient) {
  const waiting: ((item: { text: string; via: string }) => void)[] = [];
  const items: { text: string; via: string }[] = [];
  client.onData((_peer, data, via) => {
    const item = { text: Buffer.from(data).toString(), via };
    const waiter = waiting.shift();
    if (waiter === undefined) items.push(item);
    else waiter(item);
  });
  return {
    next: (): Promise<{ text: string; via: string }> => {
      const item = items.shift();
      return item === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(item);
    },
  };
}

/** The error that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<TurnError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error && error.name === "TurnError") return error as TurnError;
    throw error;
  }
  throw new Error("did not fail");
}

export const bytes = (text: string): Uint8Array => Buffer.from(text);
