import { beginsAsChannelData, CHANNEL_HEADER_LENGTH } from "./channel-data.ts";
import { HEADER_LENGTH, MAGIC_COOKIE } from "./constants.ts";
import { padded, readU16, readU32 } from "./wire.ts";

export type FramingError = "not-stun" | "frame-too-large";

export interface FramerOptions {
  /** The largest message to take, in bytes with its header. By default the protocol's own limit. */
  readonly maxFrame?: number | undefined;
}

/** Where the next frame ends, once its first bytes are known. */
interface FrameShape {
  /** Bytes of the frame. */
  readonly length: number;
  /** Bytes that it takes up on the stream. */
  readonly occupied: number;
}

/** The largest STUN message and the largest ChannelData message, whichever is larger. */
const MAX_FRAME = HEADER_LENGTH + 0xfffc;
/** Enough to tell a frame's kind and length. */
const PROLOGUE = 8;
const INITIAL_BUFFER = 512;
const EMPTY = new Uint8Array(0);

function copyInto(out: Uint8Array, a: Uint8Array, b: Uint8Array): Uint8Array {
  out.set(a);
  out.set(b, a.length);
  return out;
}

/**
 * Cuts a TCP or TLS stream into STUN and ChannelData messages (RFC 8489 section 6.2.2, RFC 8656 section 12.5). A
 * ChannelData message comes without its padding. RFC 3489 messages do not travel over streams: the magic cookie has to
 * be there.
 *
 * After an error nothing more can be read from the stream; all further input is discarded.
 */
export class StreamFramer {
  readonly #maxFrame: number;
  /** The beginning of a frame that came with earlier chunks, and how much of the buffer is used. */
  #buffer: Uint8Array = EMPTY;
  #used = 0;
  /** What of the last chunk has not been looked at. */
  #unread: Uint8Array = EMPTY;
  #error: FramingError | undefined;

  constructor(options?: FramerOptions) {
    this.#maxFrame = options?.maxFrame ?? MAX_FRAME;
  }

  /** Set once the stream turned out not to be one of STUN and ChannelData messages. */
  get error(): FramingError | undefined {
    return this.#error;
  }

  /** Bytes that wait for the rest of their frame. */
  get buffered(): number {
    return this.#used + this.#unread.length;
  }

  /** Takes the next bytes of the stream and returns the messages that are complete now. They may be views of `chunk`. */
  push(chunk: Uint8Array): { frames: readonly Uint8Array[]; error?: FramingError } {
    this.write(chunk);
    const frames: Uint8Array[] = [];
    for (let frame = this.next(); frame; frame = this.next()) frames.push(frame);
    return this.#error ? { frames, error: this.#error } : { frames };
  }

  /** Takes the next bytes of the stream, for `next` to read. What `next` has not read yet is kept. */
  write(chunk: Uint8Array): void {
    if (this.#error) return;
    this.#unread =
      this.#unread.length === 0
        ? chunk
        : copyInto(new Uint8Array(this.#unread.length + chunk.length), this.#unread, chunk);
  }

  /** The next message, or undefined while it is not complete. */
  next(): Uint8Array | undefined {
    if (this.#error) return undefined;
    if (this.#used > 0) this.#fill(PROLOGUE);
    const head = this.#used > 0 ? this.#buffer.subarray(0, this.#used) : this.#unread;
    const shape = this.#shape(head);
    if (!shape) {
      this.#keep();
      return undefined;
    }
    if (this.#used === 0 && this.#unread.length >= shape.occupied) {
      const frame = this.#unread.subarray(0, shape.length);
      this.#unread = this.#unread.subarray(shape.occupied);
      return frame;
    }
    this.#fill(shape.occupied);
    if (this.#used < shape.occupied) return undefined;
    const whole = this.#buffer.subarray(0, this.#used);
    // A short ChannelData message ends before the prologue does: what is behind it belongs to the next frame.
    const rest = whole.subarray(shape.occupied);
    if (rest.length > 0) this.#unread = copyInto(new Uint8Array(rest.length + this.#unread.length), rest, this.#unread);
    this.#buffer = EMPTY;
    this.#used = 0;
    return whole.subarray(0, shape.length);
  }

  /** Takes out all bytes that are not part of a returned message: the stream carries something else from here on. */
  takeRest(): Uint8Array {
    const rest = copyInto(new Uint8Array(this.buffered), this.#buffer.subarray(0, this.#used), this.#unread);
    this.#discard();
    return rest;
  }

  #shape(head: Uint8Array): FrameShape | undefined {
    if (head.length === 0) return undefined;
    const first = head[0] ?? 0;
    const isStun = first < 0x40;
    if (!isStun && !beginsAsChannelData(head)) return this.#fail("not-stun");
    if (head.length < CHANNEL_HEADER_LENGTH) return undefined;
    const claimed = readU16(head, 2);
    if (isStun && claimed % 4 !== 0) return this.#fail("not-stun");
    const length = (isStun ? HEADER_LENGTH : CHANNEL_HEADER_LENGTH) + claimed;
    if (isStun) {
      if (head.length < PROLOGUE) return undefined;
      if (readU32(head, 4) !== MAGIC_COOKIE) return this.#fail("not-stun");
    }
    if (length > this.#maxFrame) return this.#fail("frame-too-large");
    return { length, occupied: padded(length) };
  }

  /** Moves unread bytes into the buffer until it holds `target`, or there are no more. */
  #fill(target: number): void {
    const count = Math.min(target - this.#used, this.#unread.length);
    if (count <= 0) return;
    const needed = this.#used + count;
    if (needed > this.#buffer.length) {
      // Grows with what has come, not with what a length field claims.
      const grown = new Uint8Array(
        Math.max(needed, Math.min(target, Math.max(INITIAL_BUFFER, this.#buffer.length * 2))),
      );
      grown.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = grown;
    }
    this.#buffer.set(this.#unread.subarray(0, count), this.#used);
    this.#used += count;
    this.#unread = this.#unread.subarray(count);
  }

  /** Copies unread bytes: the caller may use the chunk's memory again. */
  #keep(): void {
    if (!this.#error) this.#fill(PROLOGUE);
  }

  #fail(error: FramingError): undefined {
    this.#error = error;
    this.#discard();
    return undefined;
  }

  #discard(): void {
    this.#buffer = EMPTY;
    this.#used = 0;
    this.#unread = EMPTY;
  }
}
