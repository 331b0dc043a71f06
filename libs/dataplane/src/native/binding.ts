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
  /** Of listeners, in bytes. */
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
  /** Of each relay socket, both ways, in bytes. */
  readonly relayBuffer: number;
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
  ownsRelay(listener: number, remote: Uint8Array): boolean;
  forgetClient(listener: number, remote: Uint8Array): void;
  takeEvents(): Buffer;
  /**
   * Packets and bytes to peers, packets and bytes to clients, messages handed up, Binding requests answered, what was
   * dropped by the first of `DROP_REASONS` in their order, and last the relays that are open.
   */
  counters(): number[];
  /** Packets and bytes to peers, packets and bytes to the client, dropped. Empty for a relay that is not open. */
  relayCounters(relay: number): number[];
  close(): void;
}
