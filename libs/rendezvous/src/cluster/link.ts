import { utf8Length } from "../json.ts";
import type { ClusterOp, LinkFrame } from "./frames.ts";

/** What is packed into one frame at most: well under what a bus carries. */
const FRAME_BYTES = 384 * 1024;
const FRAME_OPS = 1024;
/** What may wait for an acknowledgement; beyond it the stream starts afresh. */
const WINDOW_BYTES = 64 * 1024 * 1024;

interface Pending {
  readonly seq: number;
  readonly op: ClusterOp;
  readonly bytes: number;
}

export interface LinkInput {
  /** What arrived, in order, each once. */
  readonly ops: readonly ClusterOp[];
  /** The peer forgot this stream (it had given us up): start it afresh. */
  readonly forgotten: boolean;
}

/**
 * One end of a reliable, ordered stream of operations to one replica, over a bus that may lose frames: sequence
 * numbers, cumulative acknowledgements, go-back-N.
 */
export class Link {
  readonly #self: string;
  #stream: number;
  #lastSeq = 0;
  #acked = 0;
  /** The highest sequence number that was put into a frame. */
  #sent = 0;
  #pending: Pending[] = [];
  #bytes = 0;
  #peerStream = 0;
  #peerSeq = 0;
  #ackDue = false;

  /** `stream` must be higher than that of every earlier link of this process to the same peer. */
  constructor(self: string, stream: number) {
    this.#self = self;
    this.#stream = stream;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get acked(): number {
    return this.#acked;
  }

  get overflowing(): boolean {
    return this.#bytes > WINDOW_BYTES;
  }

  /** Queues one operation and gives its sequence number. */
  queue(op: ClusterOp): number {
    this.#lastSeq++;
    const bytes = utf8Length(JSON.stringify(op));
    this.#pending.push({ seq: this.#lastSeq, op, bytes });
    this.#bytes += bytes;
    return this.#lastSeq;
  }

  /** Drops what was under way and starts a stream afresh; what is queued next comes first in it. */
  restart(stream: number): void {
    this.#stream = stream;
    this.#lastSeq = 0;
    this.#acked = 0;
    this.#sent = 0;
    this.#pending = [];
    this.#bytes = 0;
  }

  /** All unacknowledged goes out again with the next {@link takeFrames}. */
  rewind(): void {
    this.#sent = this.#acked;
  }

  get idle(): boolean {
    return this.#pending.length === 0;
  }

  /** What is to be sent now. */
  takeFrames(): LinkFrame[] {
    const frames: LinkFrame[] = [];
    let ops: ClusterOp[] = [];
    let bytes = 0;
    let first = this.#sent + 1;
    const close = (): void => {
      frames.push(this.#frame(first, ops));
      first += ops.length;
      ops = [];
      bytes = 0;
    };
    for (const pending of this.#pending.slice(this.#sent - this.#acked)) {
      if (ops.length > 0 && (bytes + pending.bytes > FRAME_BYTES || ops.length >= FRAME_OPS)) close();
      ops.push(pending.op);
      bytes += pending.bytes;
      this.#sent = pending.seq;
    }
    if (ops.length > 0 || (this.#ackDue && frames.length === 0)) close();
    this.#ackDue = false;
    return frames;
  }

  handle(frame: LinkFrame): LinkInput {
    const forgotten = this.#takeAck(frame);
    if (frame.stream > this.#peerStream) {
      this.#peerStream = frame.stream;
      this.#peerSeq = 0;
    }
    if (frame.stream < this.#peerStream) return { ops: [], forgotten };
    const ops: ClusterOp[] = [];
    for (const [index, op] of frame.ops.entries()) {
      if (frame.seq + index !== this.#peerSeq + 1) continue;
      this.#peerSeq++;
      ops.push(op);
    }
    if (frame.ops.length > 0) this.#ackDue = true;
    return { ops, forgotten };
  }

  #takeAck(frame: LinkFrame): boolean {
    if (frame.peerStream !== this.#stream) return frame.peerStream < this.#stream && this.#acked > 0;
    if (frame.ack > this.#lastSeq) return true;
    if (frame.ack <= this.#acked) return false;
    for (const done of this.#pending.splice(0, frame.ack - this.#acked)) this.#bytes -= done.bytes;
    this.#acked = frame.ack;
    this.#sent = Math.max(this.#sent, frame.ack);
    return false;
  }

  #frame(seq: number, ops: readonly ClusterOp[]): LinkFrame {
    return {
      kind: "link",
      from: this.#self,
      stream: this.#stream,
      seq,
      ops,
      peerStream: this.#peerStream,
      ack: this.#peerSeq,
    };
  }
}
