/** What `native/crates/binding` exports. Addresses, commands and events are packed; see `pack.ts` and `unpack.ts`. */
export interface NativeBinding {
  protocol(): number;
  readonly Plane: new (options: NativeOptions, wake: () => void) => NativePlane;
  readonly SharedMac: new (memory: Uint8Array) => NativeMac;
}

/**
 * HMACs in memory that both sides have: the key stands at its beginning, the data after it, and then the HMAC at its
 * beginning. Lengths are in bytes.
 */
export interface NativeMac {
  sha1(key: number, data: number): void;
  sha256(key: number, data: number): void;
}

export interface NativeOptions {
  /** Threads that relay. */
  readonly workers: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Time stands still between calls of `apply`. */
  readonly stepped: boolean;
  /** Whether plain Binding requests are answered by the threads. */
  readonly answersBindings: boolean;
  /** Whether Send indications of clients that own nothing are handed up. */
  readonly clientsMove: boolean;
  /** Of listeners, in bytes. */
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
  /** Of each relay socket, both ways, in bytes. */
  readonly relayBuffer: number;
}

export interface NativeMeshOptions {
  /** Packed. */
  readonly local: Uint8Array;
  readonly instance: Uint8Array;
  /** Each its id in one byte, then itself. */
  readonly keys: Uint8Array;
  /** For each frontend its name on the wire, the listener and the address family. */
  readonly frontends: number[];
  /** Packed, one after the other. */
  readonly sharedIps: Uint8Array;
  readonly maxForeign: number;
  readonly maxPaths: number;
}

export interface NativeMeshOpened {
  /** An error number, or 0. */
  readonly errno: number;
  readonly local: Buffer;
  /** Why datagrams of peers for other relays are not taken; empty when they are, or need not be. */
  readonly noSteering: string;
}

export interface Listening {
  /** An error number, or 0. */
  readonly errno: number;
  readonly listener: number;
  readonly local: Buffer;
}

export interface NativePlane {
  listen(local: Uint8Array, stunOnly: boolean): Listening;
  addStreamListener(): number;
  /** Returns what became of each bind: the relay, then an error number or 0. */
  apply(now: number, commands: Uint8Array): number[];
  /** True when the table cannot answer the message. */
  fromStream(listener: number, remote: Uint8Array, bytes: Uint8Array): boolean;
  openMesh(options: NativeMeshOptions): NativeMeshOpened;
  /** False when another listener has the name. */
  joinMesh(frontend: number, listener: number, family: number): boolean;
  /** As `fromStream`, for a message that came over the mesh by a peer. */
  fromStreamVia(listener: number, remote: Uint8Array, peer: number, bytes: Uint8Array): boolean;
  ownsRelay(listener: number, remote: Uint8Array): boolean;
  forgetClient(listener: number, remote: Uint8Array): void;
  /** Those that have waited the longest, a bounded number. */
  takeEvents(): Buffer;
  /** Whether there are events to take. `wake` is called only when there are some again after there were none. */
  eventsWait(): boolean;
  /**
   * Packets and bytes to peers, packets and bytes to clients, messages handed up, Binding requests answered, what was
   * dropped by the first of `DROP_REASONS` in their order, packets and bytes sent and received over the mesh, and last the
   * relays that are open, the members of the mesh that are registered, and the clients that others own.
   */
  counters(): number[];
  /** Packets and bytes to peers, packets and bytes to the client, dropped. Empty for a relay that is not open. */
  relayCounters(relay: number): number[];
  close(): void;
}
