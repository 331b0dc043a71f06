import {
  Attr,
  attribute,
  checkFingerprint,
  decodeMessage,
  type EncodedAttribute,
  ErrorCode,
  encodeMessage,
  isComprehensionRequired,
  MessageClass,
  Method,
  type StunMessage,
  type TransportAddress,
} from "@culvert/stun";
import type { ClientTuple, ListenerId, Millis, SendToClient } from "./io.ts";
import type { TurnDropReason, TurnEvent } from "./outputs.ts";
import type { RandomSource } from "./random.ts";
import { SourceLimiter } from "./rate-limit.ts";
import { type Origin, type PartnerAddress, StunAddresses, type StunListenerConfig } from "./stun-addresses.ts";

export interface StunServerConfig {
  readonly listeners: readonly StunListenerConfig[];
  /** Servers that answer from their address where this one has no second IP address. At most one for each family. */
  readonly partners?: readonly PartnerAddress[];
  /** Questions to the partner for one source (/32 or /64), per second and at once. Default 20 and 40. */
  readonly partnerRate?: { readonly perSecond: number; readonly burst: number };
}

/** Have the partner send a datagram from its primary or from its alternate port. */
export interface AskPartner {
  readonly type: "ask-partner";
  readonly datagram: Uint8Array;
  readonly destination: TransportAddress;
  readonly fromAlternatePort: boolean;
}

export type StunOutput = SendToClient | AskPartner | Extract<TurnEvent, { name: "request" | "dropped" }>;

const UNDERSTOOD: ReadonlySet<number> = new Set(
  [
    Attr.MappedAddress,
    Attr.ChangeRequest,
    Attr.SourceAddress,
    Attr.ChangedAddress,
    Attr.Username,
    Attr.MessageIntegrity,
    Attr.ErrorCode,
    Attr.UnknownAttributes,
    Attr.Realm,
    Attr.Nonce,
    Attr.MessageIntegritySha256,
    Attr.UserHash,
    Attr.PasswordAlgorithm,
    Attr.XorMappedAddress,
    Attr.Padding,
    Attr.ResponsePort,
  ].map(({ type }) => type),
);

/**
 * A STUN server (RFC 8489) that lets clients discover how their NAT behaves (RFC 5780), for RFC 3489 clients too. It
 * keeps no state about clients. No input makes it throw.
 */
export class StunServer {
  readonly #addresses: StunAddresses;
  readonly #partnerLimiter: SourceLimiter;

  constructor(config: StunServerConfig, ports: { readonly random: RandomSource }) {
    this.#addresses = new StunAddresses(config.listeners, config.partners ?? []);
    this.#partnerLimiter = new SourceLimiter(config.partnerRate ?? { perSecond: 20, burst: 40 }, ports.random);
  }

  /** Changes the partners: they come and go. */
  setPartners(partners: readonly PartnerAddress[]): void {
    this.#addresses.setPartners(partners);
  }

  /** A message from a client. Returns what is to be done. */
  handleClientInput(client: ClientTuple, bytes: Uint8Array, now: Millis): readonly StunOutput[] {
    const listener = this.#addresses.listener(client.listener);
    if (listener === undefined) return dropped("unknown-listener");
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) return dropped("malformed");
    const { message } = decoded;
    if (checkFingerprint(message) === "invalid") return dropped("fingerprint");
    if (message.class === MessageClass.Indication && message.method === Method.Binding) return [];
    if (message.class !== MessageClass.Request) return dropped("unexpected-class");
    if (message.method !== Method.Binding) return dropped("unknown-method");
    return this.#answer(listener, client, message, now);
  }

  #answer(listener: StunListenerConfig, client: ClientTuple, message: StunMessage, now: Millis): readonly StunOutput[] {
    const unknown = [...message.unknownAmong(UNDERSTOOD)];
    const datagrams = listener.transport === "udp";
    const change = message.get(Attr.ChangeRequest);
    const origin = this.#addresses.origin(listener, change?.changeIp === true, change?.changePort === true);
    // What this server cannot do, here or at all, is to a client as if it did not know the attribute.
    if (change !== undefined && (!datagrams || origin === undefined)) unknown.push(Attr.ChangeRequest.type);
    const responsePort = message.get(Attr.ResponsePort);
    if (responsePort !== undefined && !datagrams) unknown.push(Attr.ResponsePort.type);

    const reply = { listener, client, message };
    if (unknown.length > 0 || origin === undefined) {
      return refuse(reply, ErrorCode.UnknownAttribute, [attribute(Attr.UnknownAttributes, unknown)]);
    }
    const contradictory = message.has(Attr.ResponsePort) && message.has(Attr.Padding);
    if (contradictory || responsePort === 0 || message.malformed.some(isComprehensionRequired)) {
      return refuse(reply, ErrorCode.BadRequest, []);
    }
    const bytes = encode(message, MessageClass.Success, this.#attributes(listener, origin, client, message));
    const remote = responsePort === undefined ? client.remote : { ip: client.remote.ip, port: responsePort };
    if (origin.kind === "own") return [send(origin.listener, remote, bytes), answered(reply)];
    if (!this.#partnerLimiter.allow(client.remote.ip, now)) return dropped("rate-limited");
    const { fromAlternatePort } = origin;
    return [{ type: "ask-partner", datagram: bytes, destination: remote, fromAlternatePort }, answered(reply)];
  }

  #attributes(
    listener: StunListenerConfig,
    origin: Origin,
    client: ClientTuple,
    message: StunMessage,
  ): readonly EncodedAttribute[] {
    const other = this.#addresses.other(listener);
    const padding = message.get(Attr.Padding)?.length;
    if (message.legacy) {
      return [
        attribute(Attr.MappedAddress, client.remote),
        attribute(Attr.SourceAddress, origin.address),
        ...(other === undefined ? [] : [attribute(Attr.ChangedAddress, other)]),
      ];
    }
    return [
      attribute(Attr.XorMappedAddress, client.remote),
      ...(other === undefined
        ? []
        : [attribute(Attr.ResponseOrigin, origin.address), attribute(Attr.OtherAddress, other)]),
      // As long as the request's, so that nobody gets more than was sent.
      ...(padding === undefined ? [] : [attribute(Attr.Padding, new Uint8Array(padding))]),
    ];
  }
}

interface Reply {
  readonly listener: StunListenerConfig;
  readonly client: ClientTuple;
  readonly message: StunMessage;
}

function refuse(reply: Reply, code: number, attributes: readonly EncodedAttribute[]): readonly StunOutput[] {
  const { client, message } = reply;
  const errorCode = attribute(Attr.ErrorCode, { code, reason: "" });
  const bytes = encode(message, MessageClass.Error, [errorCode, ...attributes]);
  return [send(client.listener, client.remote, bytes), answered(reply, code)];
}

function encode(message: StunMessage, messageClass: MessageClass, attributes: readonly EncodedAttribute[]): Uint8Array {
  return encodeMessage({
    method: message.method,
    class: messageClass,
    transactionId: message.transactionId,
    legacy: message.legacy,
    attributes,
    fingerprint: message.has(Attr.Fingerprint),
  });
}

function send(listener: ListenerId, remote: TransportAddress, bytes: Uint8Array): StunOutput {
  return { type: "send", to: "client", client: { listener, remote }, bytes };
}

function answered({ listener, message }: Reply, code?: number): StunOutput {
  return {
    type: "event",
    name: "request",
    method: message.method,
    transport: listener.transport,
    ...(code === undefined ? {} : { code }),
  };
}

function dropped(reason: TurnDropReason): readonly StunOutput[] {
  return [{ type: "event", name: "dropped", reason }];
}
