import { randomBytes } from "node:crypto";
import dgram from "node:dgram";
import { once } from "node:events";
import { loadConfig } from "@culvert/config";
import { createDataPlane } from "@culvert/dataplane";
import {
  decodeMessage,
  type EncodedAttribute,
  encodeMessage,
  MessageClass,
  Method,
  type StunMessage,
  type TransportAddress,
} from "@culvert/stun";
import { createStunService, type StunInfo, type StunService, stunConfigSchema } from "@culvert/stun-service";
import { createLogger } from "@culvert/telemetry";
import { afterEach, describe } from "vitest";

const CONFIG = { listeners: [{ transport: "udp", ip: "127.0.0.1", port: 0 }], ops: { port: 0 } };

const closers: (() => unknown)[] = [];

export function later(close: () => unknown): void {
  closers.push(close);
}

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

export interface TestStun {
  readonly service: StunService;
  readonly info: StunInfo;
  /** The sum of a metric over the lines that hold all given labels, fetched over HTTP. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

type StartStun = (overrides?: Readonly<Record<string, unknown>>) => Promise<TestStun>;

/** The native one where it is built. */
function dataPlanes(): readonly ("node" | "native")[] {
  let portable = false;
  const plane = createDataPlane({
    kind: "auto",
    clock: Date.now,
    onPortable: () => {
      portable = true;
    },
  });
  void plane.close();
  return portable ? ["node"] : ["node", "native"];
}

/** Defines tests for a server on each data plane. */
export function onEachDataPlane(define: (start: StartStun) => void): void {
  describe.each(dataPlanes())("on the %s data plane", (kind) => {
    define((overrides = {}) => startStun({ dataPlane: { kind }, ...overrides }));
  });
}

async function startStun(overrides: Readonly<Record<string, unknown>>): Promise<TestStun> {
  const config = loadConfig(stunConfigSchema, { section: "stun", env: {}, defaults: CONFIG, overrides });
  const service = createStunService(config, { logger: createLogger({ service: "stun", level: "silent" }) });
  const info = await service.start();
  later(() => service.stop());
  return {
    service,
    info,
    metric: async (name, labels = {}) => {
      const response = await fetch(`http://${info.ops?.host}:${info.ops?.port}/metrics`);
      return (await response.text())
        .split("\n")
        .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        .filter((line) => Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
    },
  };
}

export interface Answer {
  readonly from: TransportAddress;
  readonly message: StunMessage;
}

export interface Client {
  readonly local: TransportAddress;
  /** Sends a Binding request; resolves to the next answer. */
  ask(server: TransportAddress, attributes?: readonly EncodedAttribute[], legacy?: boolean): Promise<Answer>;
  /** The next datagram that comes. */
  next(): Promise<Answer>;
  send(server: TransportAddress, bytes: Uint8Array): void;
}

export async function udpClient(ip = "127.0.0.1"): Promise<Client> {
  const socket = dgram.createSocket("udp4");
  socket.bind(0, ip);
  await once(socket, "listening");
  later(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  const next = async (): Promise<Answer> => {
    const [bytes, from]: [Buffer, dgram.RemoteInfo] = await new Promise((resolve) =>
      socket.once("message", (...args) => resolve(args)),
    );
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) throw new Error(`answer does not parse: ${decoded.reason}`);
    return { from: { ip: from.address, port: from.port }, message: decoded.message };
  };
  const send = (server: TransportAddress, bytes: Uint8Array): void => socket.send(bytes, server.port, server.ip);
  return {
    local: { ip, port: socket.address().port },
    next,
    send,
    ask: (server, attributes = [], legacy = false) => {
      const answer = next();
      send(server, bindingRequest(attributes, legacy));
      return answer;
    },
  };
}

export function bindingRequest(attributes: readonly EncodedAttribute[] = [], legacy = false): Uint8Array {
  return encodeMessage({
    method: Method.Binding,
    class: MessageClass.Request,
    transactionId: randomBytes(legacy ? 16 : 12),
    legacy,
    attributes,
  });
}

export function at(info: StunInfo, index: number): TransportAddress {
  const listener = info.listeners[index];
  if (listener === undefined) throw new Error(`no listener ${index}`);
  return { ip: listener.ip, port: listener.port };
}
