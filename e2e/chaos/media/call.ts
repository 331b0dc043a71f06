import type { Socket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { connectTurn, type TurnClient, TurnError } from "@culvert/turn-client";
import { readPacket, Stream } from "./stream.ts";

export interface CallOptions {
  readonly number: number;
  /** TURN URIs. The first is used; the next one when the call starts anew. */
  readonly servers: readonly string[];
  readonly username: string;
  readonly password: string;
  /** Where the peer's packets come from and go to. */
  readonly peer: { readonly socket: Socket; readonly ip: string; readonly port: number };
  /** Bytes of application data a packet. */
  readonly size: number;
  readonly localAddress?: string;
  /** Seconds between Refresh requests. */
  readonly refreshEvery: number;
  /** Make a new allocation when both directions were silent for this long, in milliseconds. */
  readonly restartAfterMs?: number;
}

export interface CallEvents {
  refreshed(ms: number): void;
  refreshFailed(error: string): void;
  allocated(ms: number): void;
  restarted(afterMs: number): void;
}

const RETRY_MS = 200;
const ATTEMPT_TIMEOUT_MS = 5000;
/** Channels live for 600 s. */
const REBIND_MS = 240_000;

/** One call: a TURN client, its allocation, a channel to a peer, and numbered packets both ways. */
export class Call {
  readonly toPeer: Stream;
  readonly toClient: Stream;
  readonly #options: CallOptions;
  readonly #events: CallEvents;
  readonly #now: () => number;
  #client: TurnClient | undefined;
  #server = 0;
  #refreshDue = Number.POSITIVE_INFINITY;
  #rebindDue = Number.POSITIVE_INFINITY;
  #refreshing = false;
  #restarting = false;
  #closed = false;

  constructor(options: CallOptions, events: CallEvents, now: () => number) {
    this.#options = options;
    this.#events = events;
    this.#now = now;
    this.toPeer = new Stream(options.number, options.size, now());
    this.toClient = new Stream(options.number, options.size, now());
  }

  get relayed(): string {
    const relayed = this.#client?.allocation?.relayed;
    return relayed === undefined ? "" : `${relayed.ip}:${relayed.port}`;
  }

  get server(): string {
    const server = this.#client?.server;
    return server === undefined ? "" : `${server.ip}:${server.port}`;
  }

  /** Allocates and binds the channel. */
  async open(timeoutMs: number = ATTEMPT_TIMEOUT_MS): Promise<void> {
    const { servers, username, password, localAddress, peer, refreshEvery } = this.#options;
    const uri = servers[this.#server % servers.length] ?? "";
    const start = this.#now();
    const client = await connectTurn({
      uri,
      username,
      password,
      timeoutMs,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    try {
      await client.allocate();
      this.#events.allocated(this.#now() - start);
      await client.channelBind({ ip: peer.ip, port: peer.port });
    } catch (error) {
      await client.close({ release: false });
      throw error;
    }
    client.onData((_, data) => {
      const packet = readPacket(data);
      if (packet?.call === this.#options.number) this.toClient.arrived(packet.sequence, this.#now());
    });
    this.#client = client;
    // Not all at one moment: a fleet's clients do not refresh in step either.
    this.#refreshDue = this.#now() + refreshEvery * 1000 * (0.5 + (this.#options.number % 50) / 100);
    this.#rebindDue = this.#now() + REBIND_MS;
  }

  /** One packet each way. */
  send(): void {
    const client = this.#client;
    const relayed = client?.allocation?.relayed;
    if (client === undefined || relayed === undefined || this.#closed) return;
    const { peer } = this.#options;
    client.send({ ip: peer.ip, port: peer.port }, this.toPeer.packet());
    peer.socket.send(Uint8Array.from(this.toClient.packet()), relayed.port, relayed.ip, () => {});
  }

  /** Refreshes what is due, and starts anew when that is asked for and the call has died. */
  tend(): void {
    const now = this.#now();
    if (now >= this.#refreshDue && !this.#refreshing) this.#refresh();
    if (now >= this.#rebindDue) this.#rebind();
    const { restartAfterMs } = this.#options;
    if (restartAfterMs === undefined || this.#restarting || this.#client === undefined) return;
    const silent = Math.min(this.toPeer.figures(now).silentMs, this.toClient.figures(now).silentMs);
    if (silent > restartAfterMs) this.#restart(silent);
  }

  async close(release: boolean): Promise<void> {
    this.#closed = true;
    await this.#client?.close({ release });
  }

  /** A Refresh that the server cannot be reached for is tried again as long as the allocation lives. */
  get #refreshPatienceMs(): number {
    const lifetime = this.#client?.allocation?.lifetime ?? 0;
    return Math.max(lifetime - this.#options.refreshEvery, 0) * 1000;
  }

  #refresh(): void {
    this.#refreshing = true;
    const start = this.#now();
    const attempt = async (): Promise<void> => {
      while (!this.#closed) {
        try {
          await this.#client?.refresh();
          this.#events.refreshed(this.#now() - start);
          return;
        } catch (error) {
          const refused = error instanceof TurnError && error.kind === "response";
          if (refused || this.#now() - start > this.#refreshPatienceMs) {
            if (!this.#closed && !this.#restarting) this.#events.refreshFailed(String(error));
            return;
          }
          await sleep(RETRY_MS);
        }
      }
    };
    void attempt().finally(() => {
      this.#refreshing = false;
      this.#refreshDue = this.#now() + this.#options.refreshEvery * 1000;
    });
  }

  #rebind(): void {
    this.#rebindDue = this.#now() + REBIND_MS;
    const { ip, port } = this.#options.peer;
    this.#client?.channelBind({ ip, port }).catch((error: unknown) => {
      if (!this.#closed) this.#events.refreshFailed(`ChannelBind: ${String(error)}`);
    });
  }

  /** What an application does when its call is dead: close, and allocate at the next server. */
  #restart(silentMs: number): void {
    this.#restarting = true;
    const start = this.#now();
    const former = this.#client;
    const attempt = async (): Promise<void> => {
      while (!this.#closed) {
        this.#server++;
        try {
          await this.open(1000);
          await former?.close({ release: false });
          this.#events.restarted(silentMs + this.#now() - start);
          return;
        } catch {
          await sleep(RETRY_MS);
        }
      }
    };
    void attempt().finally(() => {
      this.#restarting = false;
    });
  }
}
