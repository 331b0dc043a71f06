import { capture } from "./processes.ts";
import { type Server, USER } from "./servers.ts";

/** Where cargo puts the release build. */
export const LOADGEN = "target/release/loadgen";
/** The longest that one call may take: set-up, release, and up to three minutes between them. */
const LIMIT_MS = 260_000;

export interface Trial {
  readonly rate: number | null;
  readonly sent: number;
  readonly delivered: number;
  readonly loss: number;
  readonly sentPps: number;
  readonly deliveredPps: number;
  readonly reordered: number;
  readonly duplicated: number;
  readonly corrupt: number;
  readonly misdelivered: number;
  /** Whether packets went out past the generator's own UDP layer. */
  readonly raw: boolean;
  readonly generatorIdle: number;
  readonly generatorCores: number;
  readonly latencyUs: { readonly p50: number; readonly p99: number };
  readonly serverCpuUsPerPacket: number | null;
  /** By process of the server. */
  readonly serverCpuUsPerPacketEach: readonly number[];
  readonly serverCores: number | null;
  /** Share of the time in which something else ran on the generator's core. */
  readonly generatorHeldUp: number;
}

/** Everything that one call of the generator did to a server. */
export interface Account {
  readonly allocations: number;
  /** Retransmissions included. */
  readonly requests: number;
  /** Datagrams dropped at the generator's own full sockets. */
  readonly socketDrops: number;
  /** Packets of `size` application bytes each. */
  readonly totals: { readonly sent: number; readonly delivered: number; readonly size: number };
}

export interface Found {
  readonly best: Trial;
  readonly held: boolean;
  readonly generatorLimited: boolean;
}

export interface Setups {
  readonly perSecond: number;
  readonly serverCpuUsPerSetup: number;
  /** By request, from its first transmission to its answer; null where they were not paced. */
  readonly latencyUs: LatencyByRequest | null;
}

type LatencyByRequest = Readonly<Record<string, { readonly p50: number; readonly p99: number }>>;

/** Calls with all that their clients renewed. */
export interface Calls {
  readonly played: {
    readonly packetsSent: number;
    readonly packetsDelivered: number;
    readonly latencyUs: LatencyByRequest;
  };
}

/** Times in milliseconds since the server was killed. */
export interface Restored {
  readonly first: number;
  readonly median: number;
  readonly last: number;
  /** How many allocations relayed again. */
  readonly toPeers: number;
  readonly toClients: number;
  readonly misdelivered: number;
}

export interface Memory {
  readonly bytesPerAllocation: number;
}

/** The load generator on its core; each call is one process and one measurement. */
export class Loadgen {
  readonly #core: number;
  readonly #signal: AbortSignal;

  constructor(core: number, signal: AbortSignal) {
    this.#core = core;
    this.#signal = signal;
  }

  static async build(signal: AbortSignal): Promise<void> {
    await capture(["cargo", "build", "--release", "--locked", "--quiet", "-p", "loadgen"], {
      signal,
      timeoutMs: 600_000,
    });
  }

  /** The highest rate with less than 1 % loss. */
  async search(
    server: Server,
    load: readonly string[],
    options: { readonly start: number; readonly step: number; readonly measure: number },
  ): Promise<Found> {
    const { start, step, measure } = options;
    const timing = ["--start", `${start}`, "--step", `${step}`, "--measure", `${measure}`];
    const found = await this.#run<Found>("search", server, [...load, ...timing]);
    checkIntact(found.best, server);
    return found;
  }

  /** At `rate` packets per second, or without one at as many as the generator can. */
  async rate(server: Server, load: readonly string[], rate: number | undefined, measure: number): Promise<Trial> {
    return (await this.account(server, load, rate, measure)).trial;
  }

  /** As `rate`, with everything that was done for it. */
  async account(
    server: Server,
    load: readonly string[],
    rate: number | undefined,
    measure: number,
  ): Promise<Account & { readonly trial: Trial }> {
    const timing = [...(rate === undefined ? [] : ["--rate", `${rate}`]), "--measure", `${measure}`];
    const account = await this.#run<Account & { readonly trial: Trial }>("rate", server, [...load, ...timing]);
    checkIntact(account.trial, server);
    return account;
  }

  /** Sets allocations up, sends through them and releases them, for so many seconds. */
  churn(server: Server, load: readonly string[], time: number): Promise<Account> {
    return this.#run<Account>("churn", server, [...load, "--time", `${time}`]);
  }

  allocate(server: Server, load: readonly string[]): Promise<Setups> {
    return this.#run<Setups>("allocate", server, load);
  }

  hold(server: Server, load: readonly string[]): Promise<Memory> {
    return this.#run<Memory>("hold", server, load);
  }

  /** Kills the server under its allocations and waits until they relay again; it must be started again meanwhile. */
  restore(server: Server, load: readonly string[]): Promise<Restored> {
    return this.#run<Restored>("restore", server, load);
  }

  /** Calls from set-up to release, which take so many milliseconds. */
  call(server: Server, load: readonly string[], takesMs: number): Promise<Calls> {
    return this.#run<Calls>("call", server, load, takesMs + LIMIT_MS);
  }

  /** What the generator does with no server between its two sockets. */
  async itself(): Promise<Trial> {
    const command = [LOADGEN, "self", "--core", `${this.#core}`, "--measure", "1"];
    return JSON.parse(await capture(command, { signal: this.#signal, timeoutMs: LIMIT_MS })) as Trial;
  }

  async #run<T>(command: string, server: Server, args: readonly string[], timeoutMs = LIMIT_MS): Promise<T> {
    const target = ["--server", server.address, "--server-pid", `${server.pid}`, "--core", `${this.#core}`];
    const user = ["--username", USER.username, "--password", USER.password];
    try {
      const output = await capture([LOADGEN, command, ...target, ...user, ...args], {
        signal: this.#signal,
        timeoutMs,
      });
      return JSON.parse(output) as T;
    } catch (error) {
      this.#signal.throwIfAborted();
      const said = server.output();
      throw new Error(`${server.spec.name}: ${error instanceof Error ? error.message : error}${said && `\n${said}`}`);
    }
  }
}

/** Packets that arrive changed or at the wrong flow are no result but a fault. */
function checkIntact(trial: Trial, server: Server): void {
  const { corrupt, misdelivered, duplicated } = trial;
  if (corrupt + misdelivered + duplicated > 0) {
    throw new Error(
      `${server.spec.name}: ${corrupt} packets corrupt, ${misdelivered} misdelivered, ${duplicated} doubled`,
    );
  }
}
