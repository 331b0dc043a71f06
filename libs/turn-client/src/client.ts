import { randomBytes } from "node:crypto";
import {
  Attr,
  attribute,
  classify,
  decodeChannelData,
  decodeMessage,
  type EncodedAttribute,
  ErrorCode,
  encodeChannelData,
  encodeMessage,
  type IcmpValue,
  MessageClass,
  Method,
  reasonPhrase,
  type StunMessage,
  type TransportAddress,
  writeSendIndication,
} from "@culvert/stun";
import { type AllocateOptions, type Allocation, allocateAttributes, readAllocation } from "./allocation.ts";
import { addressKey, Channels } from "./channels.ts";
import { TurnError } from "./errors.ts";
import { KeepAlive } from "./keep-alive.ts";
import { Listeners } from "./listeners.ts";
import type { LongTermSession, Signature } from "./long-term.ts";
import type { Timers } from "./timers.ts";
import { Transactions } from "./transactions.ts";
import type { Transport, TransportEvents, TransportKind } from "./transport.ts";
import type { DataPath, RequestOptions, SendOptions, TurnClient } from "./types.ts";

export interface ClientOptions {
  readonly session: LongTermSession | undefined;
  readonly timers: Timers;
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly keepAlive: boolean;
  readonly maxRedirects: number;
  /** Opens a transport to the first server, or to the one that a 300 names. */
  readonly open: (events: TransportEvents, alternate?: Alternate) => Promise<Transport>;
}

/** ALTERNATE-SERVER and ALTERNATE-DOMAIN. */
export interface Alternate {
  readonly address: TransportAddress;
  readonly domain: string | undefined;
}

/** A server that calls this many nonces in a row stale is broken. */
const MAX_STALE_NONCES = 3;
const RELEASE_TIMEOUT_MS = 2000;

const METHOD_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(Method).map(([name, value]) => [value, name]));

/** Passes a transport's events on to whoever uses it at the time. */
class EventSwitch implements TransportEvents {
  target: TransportEvents | undefined;

  onFrame(frame: Uint8Array): void {
    this.target?.onFrame(frame);
  }

  onUnreachable(error: TurnError): void {
    this.target?.onUnreachable(error);
  }

  onClosed(error: TurnError): void {
    this.target?.onClosed(error);
  }
}

export class Client implements TurnClient {
  readonly #options: ClientOptions;
  readonly #transactions: Transactions;
  readonly #keepAlive: KeepAlive;
  #transport: Transport;
  #events: EventSwitch;
  readonly #handlers: TransportEvents = {
    onFrame: (frame) => this.#receive(frame),
    onUnreachable: (error) => this.#unreachable(error),
    onClosed: (error) => this.#lost(error),
  };
  #closed: TurnError | undefined;
  #allocation: Allocation | undefined;
  readonly #permissions = new Set<string>();
  readonly #channels = new Channels();

  readonly #data = new Listeners<[TransportAddress, Uint8Array, DataPath]>();
  readonly #icmp = new Listeners<[TransportAddress, IcmpValue]>();
  readonly #frames = new Listeners<[Uint8Array]>();
  readonly #indications = new Listeners<[StunMessage]>();
  readonly #closes = new Listeners<[TurnError]>();
  readonly #errors = new Listeners<[unknown]>();

  /** Opens the transport to the first server. */
  static async open(options: ClientOptions): Promise<Client> {
    const events = new EventSwitch();
    return new Client(options, await options.open(events), events);
  }

  private constructor(options: ClientOptions, transport: Transport, events: EventSwitch) {
    this.#options = options;
    this.#transport = transport;
    this.#events = events;
    events.target = this.#handlers;
    this.#transactions = new Transactions(options.timers);
    this.#keepAlive = new KeepAlive(
      options.timers,
      {
        refresh: () => this.refresh(),
        createPermission: (ips) => this.createPermission(ips),
        channelBind: (peer) => this.channelBind(peer),
        permissions: this.#permissions,
        channels: this.#channels.peers,
      },
      (error) => this.#errors.emit(error),
    );
  }

  get transport(): TransportKind {
    return this.#transport.kind;
  }

  get local(): TransportAddress {
    return this.#transport.local;
  }

  get server(): TransportAddress {
    return this.#transport.remote;
  }

  get realm(): string | undefined {
    return this.#options.session?.realm;
  }

  get nonce(): string | undefined {
    return this.#options.session?.nonce;
  }

  get allocation(): Allocation | undefined {
    return this.#allocation;
  }

  async binding(): Promise<TransportAddress> {
    const response = await this.request(Method.Binding, [], { authenticate: false });
    const mapped = response.get(Attr.XorMappedAddress) ?? response.get(Attr.MappedAddress);
    if (mapped) return mapped;
    throw new TurnError({ kind: "protocol", step: "Binding", reason: "the response has no mapped address", response });
  }

  async allocate(options: AllocateOptions = {}): Promise<Allocation> {
    const attributes = allocateAttributes(options);
    const visited = new Set([addressKey(this.server)]);
    for (let redirects = 0; ; redirects++) {
      try {
        const allocation = readAllocation(await this.request(Method.Allocate, attributes), options);
        this.#allocation = allocation;
        if (this.#options.keepAlive) this.#keepAlive.start(allocation.lifetime);
        return allocation;
      } catch (error) {
        const alternate = this.#allocation ? undefined : alternateOf(error);
        if (!alternate) throw error;
        if (visited.has(addressKey(alternate.address)) || redirects === this.#options.maxRedirects) throw error;
        visited.add(addressKey(alternate.address));
        await this.#moveTo(alternate);
      }
    }
  }

  async refresh(lifetime?: number): Promise<number> {
    const attributes = lifetime === undefined ? [] : [attribute(Attr.Lifetime, lifetime)];
    const response = await this.request(Method.Refresh, attributes);
    const granted = response.get(Attr.Lifetime);
    if (granted === undefined) {
      throw new TurnError({ kind: "protocol", step: "Refresh", reason: "the response has no LIFETIME", response });
    }
    if (lifetime === 0) this.#forgetAllocation();
    return granted;
  }

  async createPermission(ips: readonly string[]): Promise<void> {
    const attributes = ips.map((ip) => attribute(Attr.XorPeerAddress, { ip, port: 0 }));
    await this.request(Method.CreatePermission, attributes);
    for (const ip of ips) this.#permissions.add(ip);
  }

  async channelBind(peer: TransportAddress, channel?: number): Promise<number> {
    const number = channel ?? this.#channels.numberOf(peer) ?? this.#channels.takeFree();
    await this.request(Method.ChannelBind, [
      attribute(Attr.ChannelNumber, number),
      attribute(Attr.XorPeerAddress, peer),
    ]);
    this.#channels.set(number, peer);
    return number;
  }

  send(peer: TransportAddress, data: Uint8Array, options: SendOptions = {}): boolean {
    const channel = options.via === "data" ? undefined : this.#channels.numberOf(peer);
    if (channel !== undefined) {
      return this.sendRaw(encodeChannelData(channel, data, { padded: this.#transport.kind !== "udp" }));
    }
    const dontFragment = options.dontFragment ?? false;
    return this.sendRaw(writeSendIndication(peer, data, randomBytes(12), { dontFragment }));
  }

  drained(): Promise<void> {
    return this.#transport.drained();
  }

  async request(
    method: number,
    attributes: readonly EncodedAttribute[] = [],
    options: RequestOptions = {},
  ): Promise<StunMessage> {
    const step = options.step ?? METHOD_NAMES.get(method) ?? `method 0x${method.toString(16)}`;
    const { authenticate = true, retry = true } = options;
    const session = authenticate ? this.#options.session : undefined;
    for (let stale = 0; ; ) {
      const signature = session?.sign(options.nonce);
      const response = await this.#transact(method, attributes, signature, step, options.timeoutMs);
      if (response.class === MessageClass.Success) return response;
      const error = errorOf(response, step);
      const challenged = error.code === ErrorCode.Unauthenticated && !signature;
      const outdated = error.code === ErrorCode.StaleNonce && ++stale <= MAX_STALE_NONCES;
      if (!session || !retry || !(challenged || outdated)) throw error;
      session.accept(response, step);
    }
  }

  sendRaw(bytes: Uint8Array): boolean {
    if (this.#closed) throw this.#closedError("send");
    return this.#transport.send(bytes);
  }

  onData(handler: (peer: TransportAddress, data: Uint8Array, via: DataPath) => void): () => void {
    return this.#data.add(handler);
  }

  onIcmp(handler: (peer: TransportAddress, icmp: IcmpValue) => void): () => void {
    return this.#icmp.add(handler);
  }

  onFrame(handler: (frame: Uint8Array) => void): () => void {
    return this.#frames.add(handler);
  }

  onIndication(handler: (message: StunMessage) => void): () => void {
    return this.#indications.add(handler);
  }

  onClose(handler: (error: TurnError) => void): () => void {
    return this.#closes.add(handler);
  }

  onError(handler: (error: unknown) => void): () => void {
    return this.#errors.add(handler);
  }

  async close({ release = true }: { readonly release?: boolean | undefined } = {}): Promise<void> {
    this.#keepAlive.stop();
    if (release && this.#allocation && !this.#closed) {
      const timeoutMs = Math.min(this.#options.timeoutMs, RELEASE_TIMEOUT_MS);
      // The server forgets the allocation by itself when it cannot be told.
      await this.request(Method.Refresh, [attribute(Attr.Lifetime, 0)], { timeoutMs }).catch(() => undefined);
    }
    this.#forgetAllocation();
    this.#shut(new TurnError({ kind: "closed", step: "close", reason: "the client is closed" }));
    await this.#transport.close();
  }

  #transact(
    method: number,
    attributes: readonly EncodedAttribute[],
    signature: Signature | undefined,
    step: string,
    timeoutMs = this.#options.timeoutMs,
  ): Promise<StunMessage> {
    if (this.#closed) return Promise.reject(this.#closedError(step));
    const transactionId = randomBytes(12);
    const bytes = encodeMessage({
      method,
      class: MessageClass.Request,
      transactionId,
      attributes: signature ? [...attributes, ...signature.attributes] : attributes,
      integrity: signature?.integrity,
    });
    const transport = this.#transport;
    return this.#transactions.run({
      id: transactionId,
      step,
      reliable: transport.kind !== "udp",
      timeoutMs,
      transmit: () => transport.send(bytes),
      refuse: (response) => (signature ? this.#refuse(response) : undefined),
    });
  }

  /** RFC 8489 section 9.2.5. Errors are often not signed: whoever can forge one can drop the request, too. */
  #refuse(response: StunMessage): string | undefined {
    const check = this.#options.session?.check(response) ?? "absent";
    if (check === "valid" || (check === "absent" && response.class === MessageClass.Error)) return undefined;
    const code = response.get(Attr.ErrorCode)?.code;
    if (code === ErrorCode.Unauthenticated || code === ErrorCode.StaleNonce) return undefined;
    return `the MESSAGE-INTEGRITY of the response is ${check}`;
  }

  #receive(frame: Uint8Array): void {
    this.#frames.emit(frame);
    const kind = classify(frame);
    if (kind === "channel") {
      const message = decodeChannelData(frame);
      const peer = message && this.#channels.peerOf(message.channel);
      if (peer) this.#data.emit(peer, message.data, "channel");
      return;
    }
    if (kind !== "stun") return;
    const decoded = decodeMessage(frame);
    if (!decoded.ok) return;
    const { message } = decoded;
    if (message.class === MessageClass.Indication) this.#indication(message);
    else if (message.class !== MessageClass.Request) this.#transactions.settle(message);
  }

  #indication(message: StunMessage): void {
    if (message.method !== Method.Data) {
      this.#indications.emit(message);
      return;
    }
    const peer = message.get(Attr.XorPeerAddress);
    if (!peer) return;
    const data = message.get(Attr.Data);
    const icmp = message.get(Attr.Icmp);
    if (data) this.#data.emit(peer, data, "data");
    else if (icmp) this.#icmp.emit(peer, icmp);
  }

  #unreachable(error: TurnError): void {
    this.#transactions.failAll((step) => new TurnError({ kind: error.kind, step, reason: error.reason, cause: error }));
  }

  #lost(error: TurnError): void {
    this.#shut(error);
    this.#closes.emit(error);
  }

  #shut(error: TurnError): void {
    this.#closed ??= error;
    this.#keepAlive.stop();
    this.#transactions.failAll((step) => this.#closedError(step));
  }

  #closedError(step: string): TurnError {
    const cause = this.#closed;
    return new TurnError({ kind: cause?.kind ?? "closed", step, reason: cause?.reason ?? "closed", cause });
  }

  async #moveTo(alternate: Alternate): Promise<void> {
    const former = this.#transport;
    const events = new EventSwitch();
    this.#transport = await this.#options.open(events, alternate);
    this.#events.target = undefined;
    this.#events = events;
    events.target = this.#handlers;
    this.#options.session?.reset();
    await former.close();
  }

  #forgetAllocation(): void {
    this.#keepAlive.stop();
    this.#allocation = undefined;
    this.#permissions.clear();
    this.#channels.clear();
  }
}

function errorOf(response: StunMessage, step: string): TurnError {
  const error = response.get(Attr.ErrorCode);
  if (!error) {
    return new TurnError({ kind: "protocol", step, reason: "the error response has no ERROR-CODE", response });
  }
  const reason = error.reason || reasonPhrase(error.code);
  return new TurnError({ kind: "response", step, code: error.code, reason, response });
}

function alternateOf(error: unknown): Alternate | undefined {
  if (!(error instanceof TurnError) || error.code !== ErrorCode.TryAlternate) return undefined;
  const address = error.response?.get(Attr.AlternateServer);
  return address && { address, domain: error.response?.get(Attr.AlternateDomain) };
}
