import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { StreamFramer } from "@culvert/stun";
import type { DataPlaneLimits } from "../limits.ts";
import type { DropReason } from "../port.ts";

export interface StreamHost {
  readonly limits: DataPlaneLimits;
  onMessage(stream: Stream, bytes: Buffer): void;
  /** Whether the client owns a relay, which keeps an idle stream open. */
  hasRelay(stream: Stream): boolean;
  /** Called once, when the connection is gone. */
  onClosed(stream: Stream): void;
  drop(reason: DropReason): void;
}

/** One TCP or TLS connection of a client. */
export class Stream {
  readonly ip: string;
  readonly port: number;
  readonly #host: StreamHost;
  readonly #raw: Socket;
  readonly #framer: StreamFramer = new StreamFramer();
  /** Speaks with the client: the TCP socket, or what TLS made of it. Undefined during the handshake. */
  #socket: Socket | undefined;
  #gathers = true;
  #corked = false;
  #closing = false;
  /** This side has ended: what still comes is not for anyone. */
  #deaf = false;

  readonly #acceptedAt: number = performance.now();
  #lastMessageAt: number | undefined;
  #frameSince: number | undefined;
  #endedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt: number = Number.POSITIVE_INFINITY;

  constructor(host: StreamHost, raw: Socket, ip: string, port: number) {
    this.#host = host;
    this.#raw = raw;
    this.ip = ip;
    this.port = port;
    raw.on("error", ignore);
    raw.once("close", () => {
      clearTimeout(this.#timer);
      this.#closing = true;
      host.onClosed(this);
    });
    this.#schedule();
  }

  /** Begins to read: at once over TCP, after the handshake over TLS. */
  start(socket: Socket): void {
    if (this.#closing) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    if (socket !== this.#raw) {
      socket.on("error", ignore);
      // Each message is a TLS record of its own: some clients (coturn's is one) take one message out of each record, and
      // Node puts all that waits into one where it can.
      this.#gathers = false;
      Reflect.set(socket, "_writev", null);
    }
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
  }

  /** A reply: queued even when the client is slow, but not without end. */
  reply(bytes: Uint8Array): DropReason | undefined {
    const socket = this.#socket;
    if (socket === undefined || this.#closing) return "unknown-client";
    if (socket.writableLength + bytes.length > this.#host.limits.streamHardQueueBytes) {
      this.destroy();
      return "back-pressure";
    }
    return this.#write(socket, bytes);
  }

  /** Data from a peer: dropped when the client is slow. */
  relay(bytes: Uint8Array): DropReason | undefined {
    const socket = this.#socket;
    if (socket === undefined || this.#closing) return "unknown-client";
    if (socket.writableLength > this.#host.limits.streamQueueBytes) return "back-pressure";
    return this.#write(socket, bytes);
  }

  /** Closes after what is queued is written, and at the latest when the time for that is over. */
  end(): void {
    if (this.#socket === undefined) {
      this.destroy();
      return;
    }
    this.#deaf = true;
    this.#endedAt = performance.now();
    this.#socket.end();
    this.#schedule();
  }

  /** Closes at once. */
  destroy(): void {
    this.#closing = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
    this.#raw.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#deaf) return;
    const { frames, error } = this.#framer.push(chunk);
    const now = performance.now();
    const first = this.#lastMessageAt === undefined && frames.length > 0;
    for (const frame of frames) {
      if (this.#closing) return;
      this.#lastMessageAt = now;
      this.#host.onMessage(this, Buffer.from(frame.buffer, frame.byteOffset, frame.length));
    }
    if (error !== undefined) {
      this.#fail("stream-framing");
      return;
    }
    const began = this.#framer.buffered > 0 && (this.#frameSince === undefined || frames.length > 0);
    if (began) this.#frameSince = now;
    else if (this.#framer.buffered === 0) this.#frameSince = undefined;
    if (first || began) this.#schedule();
  };

  /** The client has ended its side; replies to what it asked before are on their way. */
  readonly #onEnd = (): void => {
    if (this.#framer.buffered > 0) {
      this.#fail("stream-framing");
      return;
    }
    if (this.#lastMessageAt === undefined) {
      this.destroy();
      return;
    }
    this.#endedAt ??= performance.now();
    this.#schedule();
  };

  #write(socket: Socket, bytes: Uint8Array): DropReason | undefined {
    if (!socket.writable) return "unknown-client";
    if (this.#gathers && !this.#corked) {
      // What one turn of the event loop has for this client leaves in one write.
      this.#corked = true;
      socket.cork();
      setImmediate(() => {
        this.#corked = false;
        socket.uncork();
      });
    }
    socket.write(bytes);
    return undefined;
  }

  #fail(reason: DropReason): void {
    if (this.#closing) return;
    this.#host.drop(reason);
    this.destroy();
  }

  /** When the stream is to be closed as things are, and what for; undefined: there is nothing to count. */
  #deadline(now: number): { readonly at: number; readonly reason: DropReason | undefined } {
    const { streamFirstMessageMs, streamFrameMs, streamHalfCloseMs, streamIdleMs } = this.#host.limits;
    if (this.#endedAt !== undefined) return { at: this.#endedAt + streamHalfCloseMs, reason: undefined };
    const frame = (this.#frameSince ?? Number.POSITIVE_INFINITY) + streamFrameMs;
    const idle =
      this.#lastMessageAt === undefined
        ? this.#acceptedAt + streamFirstMessageMs
        : (this.#host.hasRelay(this) ? now : this.#lastMessageAt) + streamIdleMs;
    return { at: Math.min(frame, idle), reason: "stream-idle" };
  }

  /** One timer for all deadlines. It is moved only when it would come too late; one that comes early looks again. */
  #schedule(): void {
    const now = performance.now();
    const { at } = this.#deadline(now);
    if (this.#closing || at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(this.#onTimer, Math.max(1, at - now));
    this.#timer.unref();
  }

  readonly #onTimer = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    const { at, reason } = this.#deadline(now);
    if (at > now) this.#schedule();
    else if (reason !== undefined) this.#fail(reason);
    else if (this.#socket?.writableEnded === false) this.end();
    else this.destroy();
  };
}

/** Errors of a connection end it, and "close" says so. */
function ignore(): void {}
