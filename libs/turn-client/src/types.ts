import type { EncodedAttribute, IcmpValue, StunMessage, TransportAddress, TurnUri } from "@culvert/stun";
import type { AllocateOptions, Allocation } from "./allocation.ts";
import type { TurnError } from "./errors.ts";
import type { Timers } from "./timers.ts";
import type { TlsOptions, TransportKind } from "./transport.ts";

export interface ConnectOptions {
  /** RFC 7065, for example `turn:relay.example.org:3478?transport=tcp`. */
  readonly uri: TurnUri | string;
  /** Without username and password requests go unauthenticated, and a 401 is an error. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: TlsOptions | undefined;
  /**
   * Milliseconds for the connection, and for each transaction, at most. Without it a connection has 10 s and a
   * transaction the 39.5 s of RFC 8489 section 6.2.
   */
  readonly timeoutMs?: number | undefined;
  /** The local IP address to send from. */
  readonly localAddress?: string | undefined;
  /** The local port to send from, 0 for any. */
  readonly localPort?: number | undefined;
  /** Refresh the allocation, its permissions and channels before they expire. False by default. */
  readonly keepAlive?: boolean | undefined;
  /** How many 300 (Try Alternate) responses to follow, 3 by default (RFC 8489 section 10). */
  readonly maxRedirects?: number | undefined;
  /** Send USERHASH instead of USERNAME where the server understands it. False by default. */
  readonly anonymous?: boolean | undefined;
  /** Node's timers by default. */
  readonly timers?: Timers | undefined;
}

export interface RequestOptions {
  /** Sign with the long-term credential once the server has asked for it. True by default. */
  readonly authenticate?: boolean | undefined;
  /** Answer a 401 or a 438 with a new request, as a client has to. True by default; false hands out the error. */
  readonly retry?: boolean | undefined;
  /** Send this NONCE instead of the server's, one character for each byte. */
  readonly nonce?: string | undefined;
  /** Names the request in errors; the method's name by default. */
  readonly step?: string | undefined;
  /** Milliseconds; the connection's `timeoutMs` by default. */
  readonly timeoutMs?: number | undefined;
}

/** How data came: in a ChannelData message or in a Data indication. */
export type DataPath = "channel" | "data";

export interface SendOptions {
  /** "data" sends a Send indication even when a channel is bound. */
  readonly via?: DataPath | undefined;
  /** Set DONT-FRAGMENT on a Send indication. */
  readonly dontFragment?: boolean | undefined;
}

/**
 * A client on one 5-tuple of a TURN server. All failures are `TurnError`. Subscriptions return a function that takes them
 * back.
 */
export interface TurnClient {
  readonly transport: TransportKind;
  /** The own transport address. Another one after a 300 (Try Alternate). */
  readonly local: TransportAddress;
  /** The server that is spoken to. Another one after a 300 (Try Alternate). */
  readonly server: TransportAddress;
  /** Of the server's last challenge. */
  readonly realm: string | undefined;
  /** Of the server's last challenge. */
  readonly nonce: string | undefined;
  readonly allocation: Allocation | undefined;

  /** Binding (RFC 8489), unauthenticated: the client as the server sees it. */
  binding(): Promise<TransportAddress>;
  /** RFC 8656 section 7. A 300 (Try Alternate) is followed. */
  allocate(options?: AllocateOptions): Promise<Allocation>;
  /** RFC 8656 section 8. `lifetime` in seconds, 0 ends the allocation. Resolves to the granted lifetime. */
  refresh(lifetime?: number): Promise<number>;
  /** RFC 8656 section 10: for 300 seconds. */
  createPermission(ips: readonly string[]): Promise<void>;
  /** RFC 8656 section 12: for 600 seconds. The next free channel number by default, or the one the peer has. */
  channelBind(peer: TransportAddress, channel?: number): Promise<number>;
  /**
   * Sends to a peer: over its channel if there is one, otherwise in a Send indication. False when a stream's buffer is
   * full: the data is queued, and `drained` says when to go on.
   *
   * @throws TurnError `closed`
   */
  send(peer: TransportAddress, data: Uint8Array, options?: SendOptions): boolean;
  drained(): Promise<void>;
  /**
   * Any request: signed, retransmitted, its response verified. Resolves to a success response.
   *
   * @throws TurnError for an error response, with `response`
   */
  request(method: number, attributes?: readonly EncodedAttribute[], options?: RequestOptions): Promise<StunMessage>;
  /** Sends bytes as they are. */
  sendRaw(bytes: Uint8Array): boolean;

  /** Data from peers. `data` is valid during the call only. */
  onData(handler: (peer: TransportAddress, data: Uint8Array, via: DataPath) => void): () => void;
  /** ICMP errors that the relay got for what was sent to a peer (RFC 8656 section 11.6). */
  onIcmp(handler: (peer: TransportAddress, icmp: IcmpValue) => void): () => void;
  /** Every datagram or stream message, before it is looked at. */
  onFrame(handler: (frame: Uint8Array) => void): () => void;
  /** Indications other than Data, for example ConnectionAttempt. */
  onIndication(handler: (message: StunMessage) => void): () => void;
  /** The connection closed of its own accord. */
  onClose(handler: (error: TurnError) => void): () => void;
  /** A refresh of `keepAlive` failed. */
  onError(handler: (error: unknown) => void): () => void;

  /** Ends the allocation (waiting 2 s at most for the server to confirm) and closes. `release: false` only closes. */
  close(options?: { readonly release?: boolean | undefined }): Promise<void>;
}
