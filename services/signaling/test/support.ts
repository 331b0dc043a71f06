import { loadConfig } from "@culvert/config";
import {
  deriveSignalingKey,
  firstSnapshot,
  type KeyChange,
  type KeySink,
  type KeySnapshot,
  type KeySource,
  type KeyWatch,
  SIGNALING_AUDIENCE,
  type SigningKey,
} from "@culvert/credentials";
import type { EventBus } from "@culvert/events";
import { SUBPROTOCOL } from "@culvert/rendezvous";
import {
  createSignalingService,
  type SignalingInfo,
  type SignalingPorts,
  type SignalingService,
  signalingConfigSchema,
} from "@culvert/signaling-service";
import { createLogger } from "@culvert/telemetry";
import { nodeCrypto } from "@culvert/testkit";
import { SignJWT } from "jose";
import { afterEach } from "vitest";
import { WebSocket } from "ws";

export const acme: SigningKey = {
  tenant: "acme",
  kid: "k-acme",
  secret: Buffer.from("acme's secret"),
  state: "active",
};
export const rival: SigningKey = {
  tenant: "rival",
  kid: "k-rival",
  secret: Buffer.from("rival's secret"),
  state: "active",
};

/** A key source that a test plays. */
export class TestKeys implements KeySource {
  readonly #sinks = new Set<KeySink>();
  readonly #first = firstSnapshot();
  #snapshot: KeySnapshot | undefined;
  #revision = 0n;

  constructor(snapshot: KeySnapshot | undefined = { keys: [acme, rival], revocations: [] }) {
    this.#snapshot = snapshot;
  }

  watch(sink: KeySink): KeyWatch {
    this.#sinks.add(sink);
    if (this.#snapshot !== undefined) this.#tell(sink, this.#snapshot);
    const { ready } = this.#first;
    return { ready, connected: () => this.#snapshot !== undefined, close: () => this.#sinks.delete(sink) };
  }

  replace(snapshot: KeySnapshot): void {
    this.#snapshot = snapshot;
    this.#revision += 1n;
    for (const sink of this.#sinks) this.#tell(sink, snapshot);
  }

  change(change: KeyChange): void {
    this.#revision += 1n;
    for (const sink of this.#sinks) sink.onChange(change, this.#revision);
  }

  #tell(sink: KeySink, snapshot: KeySnapshot): void {
    sink.onSnapshot(snapshot, this.#revision);
    this.#first.arrived();
  }
}

export interface TokenOptions {
  readonly key?: SigningKey;
  readonly user?: string;
  readonly tenant?: string;
  readonly kid?: string;
  readonly audience?: string;
  /** Seconds from now. */
  readonly expiresIn?: number;
  readonly issuedAgo?: number;
  readonly secret?: Uint8Array;
}

export function mint(options: TokenOptions = {}): Promise<string> {
  const { key = acme, user = "alice", expiresIn = 600, issuedAgo = 0 } = options;
  const seconds = Math.floor(Date.now() / 1000);
  return new SignJWT({ tenant: options.tenant ?? key.tenant })
    .setProtectedHeader({ alg: "HS256", kid: options.kid ?? key.kid })
    .setSubject(user)
    .setAudience(options.audience ?? SIGNALING_AUDIENCE)
    .setIssuedAt(seconds - issuedAgo)
    .setExpirationTime(seconds + expiresIn)
    .sign(options.secret ?? deriveSignalingKey(key.secret, nodeCrypto));
}

const open: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

export function later(close: () => Promise<unknown> | unknown): void {
  open.push(close);
}

export interface Started {
  readonly service: SignalingService;
  readonly info: SignalingInfo;
  readonly keys: TestKeys;
}

/** A service on free ports of 127.0.0.1, stopped after the test. */
export async function start(
  overrides: Readonly<Record<string, unknown>> = {},
  ports: SignalingPorts & { readonly keys?: TestKeys; readonly bus?: EventBus } = {},
): Promise<Started> {
  const config = loadConfig(signalingConfigSchema, {
    section: "signaling",
    env: {},
    defaults: { listen: { host: "127.0.0.1", port: 0 }, ops: { host: "127.0.0.1", port: 0 }, drain: { timeout: 0 } },
    overrides,
  });
  const keys = ports.keys ?? new TestKeys();
  const service = createSignalingService(config, {
    logger: createLogger({ service: "signaling", level: "silent" }),
    ...ports,
    keys,
  });
  later(() => service.stop());
  return { service, info: await service.start(), keys };
}

export interface Message {
  readonly type: string;
  readonly seq: number;
  readonly ack: number;
  readonly id?: string;
  readonly from?: string;
  readonly room?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface ClientOptions {
  readonly protocols?: string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly autoPong?: boolean;
}

/** A client over a real WebSocket. */
export class Client {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  #waiting: (() => void)[] = [];
  seq = 0;
  lastSeq = 0;

  constructor(url: string, options: ClientOptions = {}) {
    const { protocols = [SUBPROTOCOL], headers = {}, autoPong = true } = options;
    this.socket = new WebSocket(url, protocols, { headers: { ...headers }, autoPong });
    this.socket.on("message", (data) => {
      const message: Message = JSON.parse(data.toString());
      this.messages.push(message);
      this.lastSeq = Math.max(this.lastSeq, message.seq);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
    later(() => this.socket.terminate());
  }

  static async join(
    url: string,
    token: string | Promise<string> = mint(),
    options: ClientOptions = {},
  ): Promise<Client> {
    const client = new Client(url, options);
    await client.next("welcome");
    client.send("hello", { auth: await token });
    await client.next("hello");
    return client;
  }

  /** The `nth` message of a type, as soon as it is there. */
  async next(type: string, nth = 1): Promise<Message> {
    for (;;) {
      const found = this.of(type)[nth - 1];
      if (found !== undefined) return found;
      if (this.socket.readyState === WebSocket.CLOSED)
        throw new Error(`closed before ${type}: ${JSON.stringify(this.messages)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  of(type: string): Message[] {
    return this.messages.filter((message) => message.type === type);
  }

  send(type: string, data: object, options: Readonly<Record<string, unknown>> = {}): void {
    const control = ["hello", "ack", "ping", "bye"].includes(type);
    if (!control) this.seq++;
    this.socket.send(JSON.stringify({ v: 1, type, seq: control ? 0 : this.seq, ack: this.lastSeq, data, ...options }));
  }

  async resume(url: string, auth?: string): Promise<Client> {
    const { resumeToken } = this.hello;
    const next = new Client(url);
    await next.next("welcome");
    next.seq = this.seq;
    next.lastSeq = this.lastSeq;
    next.send("hello", { resume: resumeToken, lastSeq: this.lastSeq, ...(auth === undefined ? {} : { auth }) });
    return next;
  }

  get hello(): { readonly address: string; readonly sessionId: string; readonly resumeToken: string } {
    const data = this.of("hello").at(-1)?.data ?? {};
    return { address: String(data.address), sessionId: String(data.sessionId), resumeToken: String(data.resumeToken) };
  }
}

/** The value of a metric whose line contains all of `labels`. */
export async function metric(info: SignalingInfo, name: string, ...labels: string[]): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${info.ops?.port}/metrics`);
  const lines = (await response.text()).split("\n");
  const line = lines.find(
    (each) => new RegExp(`^${name}[{ ]`).test(each) && labels.every((label) => each.includes(label)),
  );
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(" ") + 1));
}
