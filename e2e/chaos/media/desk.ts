import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Call, type CallEvents, type CallOptions } from "./call.ts";
import type { FlowReport, MediaReport, OpenCalls, OpenReport, ProbeReport } from "./messages.ts";
import { percentile } from "./percentile.ts";
import { readPacket, type Stream, type StreamFigures } from "./stream.ts";

/** How often packets that are due are sent. A call's packets are spread over the time between two of its own. */
const TICK_MS = 4;
/** How long a report waits for more of what was sent, unless all of it is there. A busy machine may stop for a while. */
const SETTLE_MS = 2000;
const LOOK_MS = 20;
const FLOW_PATIENCE_MS = 60_000;
/** An answer to a probe is late, but not lost. */
const PROBE_PATIENCE_MS = 10_000;
const RECEIVE_BUFFER = 4 << 20;
const SILENT_MS = 1000;

/** Holds calls and sends their media until they are closed. */
export class Desk {
  readonly #calls: Call[] = [];
  readonly #idle: Call[] = [];
  readonly #byNumber = new Map<number, Call>();
  readonly #events: CallEvents;
  #peer: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #tending: NodeJS.Timeout | undefined;
  #paused = false;
  #interval = 20;
  #turn = 0;
  #sentUntil = 0;
  #refreshes: number[] = [];
  #refreshFailures: string[] = [];
  #restarts: number[] = [];
  #allocations: number[] = [];

  constructor() {
    this.#events = {
      refreshed: (ms) => this.#refreshes.push(ms),
      refreshFailed: (error) => this.#refreshFailures.push(error),
      allocated: (ms) => this.#allocations.push(ms),
      restarted: (ms) => this.#restarts.push(ms),
    };
  }

  get relayed(): readonly string[] {
    return [...this.#calls, ...this.#idle].map(({ relayed }) => relayed);
  }

  get servers(): readonly string[] {
    return [...this.#calls, ...this.#idle].map(({ server }) => server);
  }

  async open(order: OpenCalls): Promise<OpenReport> {
    const { calls, idle = 0, peerIp, packetsPerSecond = 50, size = 160, refreshEvery = 10, parallel = 32 } = order;
    this.#interval = 1000 / packetsPerSecond;
    const socket = await this.#openPeer(peerIp);
    const { port } = socket.address();
    const failures: string[] = [];
    const todo = Array.from({ length: calls + idle }, (_, index) => index);
    const worker = async (): Promise<void> => {
      for (let number = todo.shift(); number !== undefined; number = todo.shift()) {
        const isIdle = number >= calls;
        const call = new Call(
          {
            ...callOptions(order),
            number,
            peer: { socket, ip: peerIp, port },
            size,
            refreshEvery,
          },
          this.#events,
          now,
        );
        try {
          await call.open();
          this.#byNumber.set(number, call);
          (isIdle ? this.#idle : this.#calls).push(call);
        } catch (error) {
          failures.push(String(error));
        }
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
    this.#timer ??= setInterval(() => this.#send(), TICK_MS);
    this.#tending ??= setInterval(() => {
      if (this.#paused) return;
      for (const call of [...this.#calls, ...this.#idle]) call.tend();
    }, 250);
    return { relayed: this.relayed, failures, p99Ms: percentile(this.#allocations, 0.99) };
  }

  mark(): void {
    const at = now();
    for (const call of this.#calls) {
      call.toPeer.mark(at);
      call.toClient.mark(at);
    }
    this.#refreshes = [];
    this.#refreshFailures = [];
    this.#restarts = [];
  }

  /** Waits until each call has got, both ways, something that is sent from now on. */
  async flow(): Promise<FlowReport> {
    const start = now();
    const wanted = this.#streams.map((stream) => [stream, stream.next] as const);
    const arrived = (): boolean => wanted.every(([stream, sequence]) => stream.reached(sequence));
    await until(arrived, FLOW_PATIENCE_MS);
    return { ms: now() - start, flows: arrived() };
  }

  async report(settleMs?: number): Promise<MediaReport> {
    // Gaps are judged before the pause, losses after it. What comes in it has only been late: its call is not silent.
    const before = this.#figures();
    const pausedAt = now();
    this.#paused = true;
    await this.#settle(settleMs);
    const after = this.#figures();
    this.#paused = false;
    const sum = (key: "sent" | "received" | "lost" | "duplicates" | "reordered"): number =>
      after.reduce((total, figures) => total + figures[key], 0);
    const gaps = before.map(({ maxGapMs }) => maxGapMs);
    const report = {
      calls: this.#calls.length,
      sent: sum("sent"),
      received: sum("received"),
      lost: sum("lost"),
      duplicates: sum("duplicates"),
      reordered: sum("reordered"),
      maxGapMs: Math.max(0, ...gaps),
      medianGapMs: percentile(gaps, 0.5),
      silentCalls: this.#calls.filter((_, index) =>
        [2 * index, 2 * index + 1].some(
          (at) => (before[at]?.silentMs ?? 0) > SILENT_MS && before[at]?.received === after[at]?.received,
        ),
      ).length,
      refreshes: this.#refreshes.length,
      refreshFailures: this.#refreshFailures,
      refreshP99Ms: percentile(this.#refreshes, 0.99),
      restarts: this.#restarts.length,
      slowestRestartMs: Math.max(0, ...this.#restarts),
    };
    // The pause is no silence of the server's.
    const pausedMs = now() - pausedAt;
    for (const { toPeer, toClient } of this.#calls) {
      toPeer.paused(pausedMs);
      toClient.paused(pausedMs);
    }
    return report;
  }

  async probe(waitMs: number = PROBE_PATIENCE_MS): Promise<ProbeReport> {
    const at = now();
    for (const [index, call] of this.#idle.entries()) {
      call.toPeer.mark(at);
      call.toClient.mark(at);
      call.send();
      // A burst of thousands would be lost in the sockets' buffers, not in the relay.
      if (index % 50 === 49) await sleep(5);
    }
    const look = (): boolean[][] =>
      this.#idle.map(({ toPeer, toClient }) => [toPeer.figures(at).received > 0, toClient.figures(at).received > 0]);
    await until(() => look().every(([one, two]) => one && two), waitMs);
    const reached = look();
    return {
      allocations: this.#idle.length,
      toPeer: reached.filter(([one]) => one).length,
      toClient: reached.filter(([, two]) => two).length,
      alive: reached.filter(([one, two]) => one && two).length,
    };
  }

  async close(release: boolean): Promise<void> {
    clearInterval(this.#timer);
    clearInterval(this.#tending);
    await Promise.all([...this.#calls, ...this.#idle].map((call) => call.close(release)));
    this.#peer?.close();
  }

  async #openPeer(ip: string): Promise<Socket> {
    if (this.#peer !== undefined) return this.#peer;
    const socket = createSocket({ type: ip.includes(":") ? "udp6" : "udp4", recvBufferSize: RECEIVE_BUFFER });
    socket.on("error", () => {});
    socket.on("message", (bytes) => {
      const packet = readPacket(bytes);
      if (packet !== undefined) this.#byNumber.get(packet.call)?.toPeer.arrived(packet.sequence, now());
    });
    socket.bind(0, ip);
    await once(socket, "listening");
    this.#peer = socket;
    return socket;
  }

  /** What is due of a round of all calls. Time that the process lost is not made up for: that would be a burst. */
  #send(): void {
    const at = now();
    const calls = this.#calls.length;
    const due = Math.min((calls * (at - this.#sentUntil)) / this.#interval, calls);
    if (this.#paused || calls === 0) {
      this.#sentUntil = at;
      return;
    }
    const count = Math.floor(due);
    this.#sentUntil = due === calls ? at : this.#sentUntil + (count * this.#interval) / calls;
    for (let sent = 0; sent < count; sent++) this.#calls[this.#turn++ % calls]?.send();
  }

  get #streams(): readonly Stream[] {
    return this.#calls.flatMap(({ toPeer, toClient }) => [toPeer, toClient]);
  }

  #figures(): StreamFigures[] {
    const at = now();
    return this.#streams.map((stream) => stream.figures(at));
  }

  /** Without a time: until all that was sent has arrived, or nothing more has for a while. */
  async #settle(ms?: number): Promise<void> {
    if (ms !== undefined) return void (await sleep(ms));
    let received = -1;
    for (;;) {
      const figures = this.#figures();
      const sum = figures.reduce((total, { received: arrived }) => total + arrived, 0);
      if (sum === received || figures.every(({ lost }) => lost === 0)) return;
      received = sum;
      await until(() => this.#figures().every(({ lost }) => lost === 0), SETTLE_MS);
    }
  }
}

async function until(holds: () => boolean, patienceMs: number): Promise<void> {
  const end = now() + patienceMs;
  while (!holds() && now() < end) await sleep(LOOK_MS);
}

function callOptions({
  servers,
  username,
  password,
  localAddress,
  restartAfterMs,
}: OpenCalls): Pick<CallOptions, "servers" | "username" | "password" | "localAddress" | "restartAfterMs"> {
  return {
    servers,
    username,
    password,
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(restartAfterMs === undefined ? {} : { restartAfterMs }),
  };
}

function now(): number {
  return performance.now();
}
