/** What the media process is told, and what it answers. One answer to each. */
export interface OpenCalls {
  readonly do: "open";
  /** Calls with media, 50 packets a second each way unless said otherwise. */
  readonly calls: number;
  /** Allocations without media, looked at by `probe`. */
  readonly idle?: number;
  readonly servers: readonly string[];
  readonly username: string;
  readonly password: string;
  readonly peerIp: string;
  readonly localAddress?: string;
  readonly packetsPerSecond?: number;
  readonly size?: number;
  readonly refreshEvery?: number;
  readonly restartAfterMs?: number;
  /** Allocations under way at once. Default 32. */
  readonly parallel?: number;
}

export type Order =
  | OpenCalls
  /** Packets from now on count. */
  | { readonly do: "mark" }
  /** Waits until each call has got, both ways, something that is sent from now on. Figures since the mark go on. */
  | { readonly do: "flow" }
  /** Stops sending, waits for what is under way, and tells the figures since the mark; goes on sending. */
  | { readonly do: "report"; readonly settleMs?: number }
  /** Sends one packet each way on each idle allocation; tells how many arrived, as soon as all have or `waitMs` is over. */
  | { readonly do: "probe"; readonly waitMs?: number }
  | { readonly do: "relayed" }
  /** Allocations by clients of their own, which are kept; tells how long each took and what was refused. */
  | {
      readonly do: "storm";
      readonly clients: number;
      /** Allocate requests under way at once. */
      readonly parallel: number;
      /** Milliseconds, for each. */
      readonly timeoutMs: number;
      readonly servers: readonly string[];
      readonly username: string;
      readonly password: string;
    }
  /** Gives the allocations of storms back. */
  | { readonly do: "calm" }
  | { readonly do: "close"; readonly release: boolean };

export interface MediaReport {
  readonly calls: number;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
  /** The longest silence of any call in any direction. */
  readonly maxGapMs: number;
  /** The median over the calls of their longest silence. */
  readonly medianGapMs: number;
  /** Calls of which a direction has been silent for a second, with nothing under way. */
  readonly silentCalls: number;
  readonly refreshes: number;
  readonly refreshFailures: readonly string[];
  readonly refreshP99Ms: number;
  readonly restarts: number;
  readonly slowestRestartMs: number;
}

export interface FlowReport {
  /** Milliseconds of the wait. */
  readonly ms: number;
  /** Whether all calls did. */
  readonly flows: boolean;
}

export interface ProbeReport {
  readonly allocations: number;
  readonly toPeer: number;
  readonly toClient: number;
  /** Both ways. */
  readonly alive: number;
}

export interface StormReport {
  readonly granted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Slowest answer that was a refusal. */
  readonly slowestRefusalMs: number;
  readonly relayed: readonly string[];
}

export interface OpenReport {
  readonly relayed: readonly string[];
  readonly failures: readonly string[];
  readonly p99Ms: number;
}

/** The answer to each order. */
export interface Answers {
  readonly open: OpenReport;
  readonly mark: Record<string, never>;
  readonly flow: FlowReport;
  readonly report: MediaReport;
  readonly probe: ProbeReport;
  readonly relayed: { readonly relayed: readonly string[]; readonly servers: readonly string[] };
  readonly storm: StormReport;
  readonly calm: Record<string, never>;
  readonly close: Record<string, never>;
}

export interface Request {
  readonly id: number;
  readonly order: Order;
}

export type Response =
  | { readonly id: number; readonly answer: Answers[keyof Answers] }
  | { readonly id: number; readonly error: string };
