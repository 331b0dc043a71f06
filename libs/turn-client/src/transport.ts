import type { TransportAddress } from "@culvert/stun";
import type { TurnError } from "./errors.ts";
import type { Timers } from "./timers.ts";

export type TransportKind = "udp" | "tcp" | "tls";

/** What is passed on to node:tls. */
export interface TlsOptions {
  /** Refuse a server whose certificate does not verify. True by default. */
  readonly rejectUnauthorized?: boolean | undefined;
  /** Certificates of the authorities to trust, in PEM, instead of the well-known ones. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** The name for SNI and for the certificate, when it is not the host of the URI. */
  readonly servername?: string | undefined;
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
}

/** A server as it is dialled. */
export interface Endpoint {
  readonly kind: TransportKind;
  readonly address: TransportAddress;
  /** The host of the URI: SNI, and what the certificate has to be for. */
  readonly host: string;
}

export interface TransportOptions {
  readonly tls: TlsOptions;
  /** The local address to bind. */
  readonly localAddress?: string | undefined;
  /** The local port to bind, 0 for any. */
  readonly localPort?: number | undefined;
  /** Milliseconds for the connection, with its TLS handshake, to come about. */
  readonly connectTimeoutMs: number;
  readonly timers: Timers;
}

export interface TransportEvents {
  /** One datagram, or one message of a stream without its padding. */
  onFrame(frame: Uint8Array): void;
  /** The network says that nobody is there. The transport stays open. */
  onUnreachable(error: TurnError): void;
  /** The transport closed of its own accord; `error` says why. Not called after `close`. */
  onClosed(error: TurnError): void;
}

/** An open way to a server. */
export interface Transport {
  readonly kind: TransportKind;
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  /** Sends one message. False when the stream's buffer is full: see `drained`. */
  send(bytes: Uint8Array): boolean;
  /** Resolves when a stream takes more, or is closed. */
  drained(): Promise<void>;
  /** Resolves when the socket is closed. What was written before is sent. */
  close(): Promise<void>;
}
