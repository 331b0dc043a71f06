import { type EncodedAttribute, encodeChannelData, type StunMessage } from "@culvert/stun";
import {
  mustDecode,
  nodeCrypto,
  outcomeOf,
  type RequestChanges,
  type SeededRandom,
  StunSession,
  seededRandom,
} from "@culvert/testkit";
import {
  type Ask,
  type Authenticator,
  type Bind,
  type BindResult,
  type Claims,
  type ClientTuple,
  type CredentialResolution,
  type Output,
  type PeerPolicy,
  type PeerPolicyConfig,
  parsePeerPolicy,
  type TurnEvent,
  type TurnEventName,
  TurnServer,
  type TurnServerConfig,
} from "@culvert/turn";

export const START = Date.UTC(2026, 0, 1);
export const REALM = "culvert.test";
export const UDP = 1;
export const TCP = 2;
export const UDP6 = 3;
export const RELAY_IP = "198.51.100.1";
export const RELAY_IP6 = "2001:db8:ffff::1";
export const PEER = { ip: "9.9.9.9", port: 5000 };
export const PEER6 = { ip: "2600::9", port: 5000 };

export function policy(config: PeerPolicyConfig = {}): PeerPolicy {
  const result = parsePeerPolicy(config);
  if (!result.ok) throw new Error(result.error);
  return result.policy;
}

export interface LabOptions {
  readonly config?: Partial<TurnServerConfig>;
  /** By user name: what the authenticator says. Default: "alice", "bob" and "carol", each with the password "secret". */
  readonly resolve?: (username: string | undefined, nowMs: number) => CredentialResolution | undefined;
  readonly authenticator?: Authenticator;
  /** Default: every port can be bound. Undefined: no answer. */
  readonly bind?: (bind: Bind) => BindResult | undefined;
  readonly seed?: number;
}

/** A TURN server with a clock that is told and sockets that always open; what it puts out is kept. */
export class Lab {
  readonly server: TurnServer;
  readonly random: SeededRandom;
  /** All outputs so far, but those that `take` took. */
  outputs: Output[] = [];
  now = START;
  readonly #bind: (bind: Bind) => BindResult | undefined;

  constructor(options: LabOptions = {}) {
    this.random = seededRandom(options.seed ?? 1);
    this.#bind = options.bind ?? (() => ({ ok: true }));
    this.server = new TurnServer(
      {
        realm: REALM,
        listeners: [
          { id: UDP, transport: "udp", address: { ip: "198.51.100.7", port: 3478 } },
          { id: TCP, transport: "tcp", address: { ip: "198.51.100.7", port: 3478 } },
          { id: UDP6, transport: "udp", address: { ip: "2001:db8:ffff::7", port: 3478 } },
        ],
        relays: [{ ip: RELAY_IP }, { ip: RELAY_IP6 }],
        nonceKeys: [new Uint8Array(32).fill(7)],
        policy: policy(),
        ...options.config,
      },
      {
        crypto: nodeCrypto,
        random: this.random,
        authenticator: options.authenticator ?? {
          resolve: ({ username, nowMs }) =>
            options.resolve?.(username, nowMs) ??
            (["alice", "bob", "carol"].includes(username ?? "")
              ? known({ tenant: "acme", user: username ?? "" })
              : { kind: "rejected", reason: "unknown" }),
        },
      },
    );
  }

  client(options: ClientOptions = {}): LabClient {
    return new LabClient(this, options);
  }

  /** Carries out what the server wants and returns it. */
  settle(): readonly Output[] {
    const fresh: Output[] = [];
    for (let output = this.server.pollOutput(); output !== undefined; output = this.server.pollOutput()) {
      fresh.push(output);
      if (output.type !== "bind") continue;
      const result = this.#bind(output);
      if (result !== undefined) this.server.handleBound(output.relay, result, this.now);
    }
    this.outputs.push(...fresh);
    return fresh;
  }

  /** Lets time pass; every deadline on the way is kept. */
  advance(milliseconds: number): readonly Output[] {
    const end = this.now + milliseconds;
    const fresh: Output[] = [];
    for (;;) {
      const next = this.server.pollTimeout();
      if (next === undefined || next > end) break;
      this.now = Math.max(this.now, next);
      this.server.handleTimeout(this.now);
      fresh.push(...this.settle());
    }
    this.now = end;
    return fresh;
  }

  /** The outputs since the last time, without events. */
  take(): readonly Output[] {
    this.settle();
    const taken = this.outputs.filter(({ type }) => type !== "event");
    this.outputs = [];
    return taken;
  }

  /** The events of this name so far. */
  events<Name extends TurnEventName>(name: Name): readonly Extract<TurnEvent, { name: Name }>[] {
    this.settle();
    return this.outputs.filter(
      (output): output is Extract<TurnEvent, { name: Name }> => output.type === "event" && output.name === name,
    );
  }

  /** The reasons of all drops so far. */
  drops(): readonly string[] {
    this.settle();
    return this.events("dropped").map(({ reason }) => reason);
  }

  asks(): readonly Ask[] {
    return this.outputs.filter((output): output is Ask => output.type === "ask");
  }
}

export function known(claims: Claims, options: { password?: string; expiresAt?: number } = {}): CredentialResolution {
  const { password = "secret", expiresAt } = options;
  return {
    kind: "known",
    claims,
    candidates: [{ password }],
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

export interface ClientOptions {
  readonly user?: string;
  readonly password?: string;
  readonly ip?: string;
  readonly port?: number;
  readonly listener?: number;
  readonly dialect?: "rfc5389" | "rfc8489";
  readonly anonymous?: boolean;
}

/** A client of the lab's server at one 5-tuple. */
export class LabClient {
  readonly lab: Lab;
  readonly tuple: ClientTuple;
  readonly session: StunSession;

  constructor(lab: Lab, options: ClientOptions) {
    this.lab = lab;
    const { listener = UDP, ip = listener === UDP6 ? "2600::1" : "8.8.1.1", port = 1000 } = options;
    this.tuple = { listener, remote: { ip, port } };
    this.session = new StunSession({
      username: options.user ?? "alice",
      password: options.password ?? "secret",
      random: lab.random,
      dialect: options.dialect ?? "rfc5389",
      anonymous: options.anonymous ?? false,
    });
  }

  /** Sends bytes; returns the first STUN message that came back, if there was one. */
  send(bytes: Uint8Array): StunMessage | undefined {
    this.lab.server.handleClientInput(this.tuple, bytes, this.lab.now);
    return this.#answerIn(this.lab.settle());
  }

  /** Gets a nonce. */
  challenge(method = 3): StunMessage {
    const response = this.send(this.session.bare(method));
    if (response === undefined || !this.session.learn(response)) throw new Error("no challenge");
    return response;
  }

  /** Sends an authenticated request. Gets a nonce first where there is none. */
  request(method: number, attributes: readonly EncodedAttribute[] = [], changes: RequestChanges = {}): Reply {
    if (this.session.challenge === undefined) this.challenge();
    return this.replyTo(this.session.request(method, attributes, changes));
  }

  replyTo(bytes: Uint8Array): Reply {
    const message = this.send(bytes);
    return { outcome: message === undefined ? "none" : (outcomeOf(message) ?? "none"), message };
  }

  indicate(method: number, attributes: readonly EncodedAttribute[]): readonly Output[] {
    this.lab.take();
    this.send(this.session.indication(method, attributes));
    return this.lab.take();
  }

  sendChannelData(channel: number, data: Uint8Array): readonly Output[] {
    this.lab.take();
    this.send(encodeChannelData(channel, data));
    return this.lab.take();
  }

  /** What came for this client since `outputs` began. */
  received(outputs: readonly Output[]): readonly Uint8Array[] {
    return outputs.flatMap((output) =>
      output.type === "send" && output.to === "client" && output.client === this.tuple ? [output.bytes] : [],
    );
  }

  #answerIn(outputs: readonly Output[]): StunMessage | undefined {
    const [bytes] = this.received(outputs);
    return bytes === undefined ? undefined : mustDecode(bytes);
  }
}

export interface Reply {
  readonly outcome: "success" | "none" | number;
  readonly message: StunMessage | undefined;
}
