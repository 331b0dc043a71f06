/** How packets of one direction of one call fared since the last mark. */
export interface StreamFigures {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** Milliseconds of the longest time without an arrival, up to the moment of the report. */
  readonly maxGapMs: number;
  /** Milliseconds since the last arrival. */
  readonly silentMs: number;
}

const HEADER_BYTES = 12;
const MAGIC = 0x43_55_4c_56;
const BITMAP_STEP = 4096;

/** Reads the number of the call and of the packet. Undefined: not one of ours. */
export function readPacket(bytes: Uint8Array): { readonly call: number; readonly sequence: number } | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0) !== MAGIC) return undefined;
  return { call: view.getUint32(4), sequence: view.getUint32(8) };
}

/** One direction of one call: numbered packets, and which of them arrived. Times are milliseconds of one clock. */
export class Stream {
  readonly #call: number;
  readonly #packet: Uint8Array;
  readonly #view: DataView;
  #next = 0;
  #base = 0;
  #arrived: Uint8Array = new Uint8Array(BITMAP_STEP);
  #received = 0;
  #duplicates = 0;
  #reordered = 0;
  #highest = -1;
  #lastArrival: number;
  #maxGapMs = 0;

  /** @param size bytes a packet, 12 or more */
  constructor(call: number, size: number, now: number) {
    this.#call = call;
    this.#packet = new Uint8Array(Math.max(size, HEADER_BYTES));
    this.#view = new DataView(this.#packet.buffer);
    this.#view.setUint32(0, MAGIC);
    this.#view.setUint32(4, call);
    this.#lastArrival = now;
  }

  get call(): number {
    return this.#call;
  }

  /** The number of the next packet. */
  get next(): number {
    return this.#next;
  }

  /** Whether this packet or one after it has arrived, since the last mark. */
  reached(sequence: number): boolean {
    return this.#highest >= sequence;
  }

  /** The next packet. The bytes are written over by the one after it. */
  packet(): Uint8Array {
    this.#view.setUint32(8, this.#next++);
    return this.#packet;
  }

  arrived(sequence: number, now: number): void {
    this.#maxGapMs = Math.max(this.#maxGapMs, now - this.#lastArrival);
    this.#lastArrival = now;
    if (sequence < this.#base) return;
    const index = sequence - this.#base;
    if (index >= this.#arrived.length) {
      const grown = new Uint8Array(Math.ceil((index + 1) / BITMAP_STEP) * 2 * BITMAP_STEP);
      grown.set(this.#arrived);
      this.#arrived = grown;
    }
    if (this.#arrived[index] === 1) {
      this.#duplicates++;
      return;
    }
    this.#arrived[index] = 1;
    this.#received++;
    if (sequence < this.#highest) this.#reordered++;
    else this.#highest = sequence;
  }

  /** What is sent from now on counts; what went before does not, whenever it arrives. */
  mark(now: number): void {
    this.#base = this.#next;
    this.#arrived = new Uint8Array(BITMAP_STEP);
    this.#received = 0;
    this.#duplicates = 0;
    this.#reordered = 0;
    this.#highest = -1;
    this.#lastArrival = now;
    this.#maxGapMs = 0;
  }

  /** The sender has paused for so long, in milliseconds: that is no gap. */
  paused(ms: number): void {
    this.#lastArrival += ms;
  }

  figures(now: number): StreamFigures {
    const sent = this.#next - this.#base;
    const silentMs = now - this.#lastArrival;
    return {
      sent,
      received: this.#received,
      lost: sent - this.#received,
      duplicates: this.#duplicates,
      reordered: this.#reordered,
      maxGapMs: Math.max(this.#maxGapMs, silentMs),
      silentMs,
    };
  }
}
