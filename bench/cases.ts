/** A benchmark: what is measured, and the generator's options for it. */
export interface Case {
  readonly name: string;
  readonly kind: "throughput" | "latency" | "setup" | "memory" | "steady" | "workers";
  readonly load: readonly string[];
  /** Throughput only: whether CPU per packet is measured as well, at a rate that all of them reach. */
  readonly cpu?: boolean;
  /** What ours is set beside. */
  readonly against: "peers" | "floor" | "workers";
  /** Steady and workers only: packets per second. */
  readonly rate?: number;
}

const channel = (size: number, ...more: string[]): readonly string[] => [
  "--mode",
  "channel",
  "--size",
  `${size}`,
  ...more,
];

/** 16 packets of a flow back to back. */
const BURSTS = channel(200, "--run", "16");

export const CASES: readonly Case[] = [
  { name: "udp-channel-200", kind: "throughput", load: channel(200), cpu: true, against: "peers" },
  { name: "udp-cpu-floor", kind: "throughput", load: channel(200), cpu: true, against: "floor" },
  { name: "udp-channel-1200", kind: "throughput", load: channel(1200), against: "peers" },
  { name: "udp-peer-to-client", kind: "throughput", load: channel(200, "--direction", "to-client"), against: "peers" },
  { name: "udp-bursts", kind: "throughput", load: BURSTS, against: "peers" },
  // Runs that the server sends joined stay so up to the peer, as with a network card that takes them apart itself.
  { name: "udp-bursts-joined", kind: "throughput", load: [...BURSTS, "--gro"], against: "peers" },
  { name: "udp-many-flows", kind: "steady", load: channel(200, "--flows", "2000"), rate: 100_000, against: "peers" },
  { name: "udp-send-data", kind: "throughput", load: ["--mode", "send", "--size", "200"], against: "peers" },
  { name: "binding", kind: "throughput", load: ["--mode", "binding"], against: "peers" },
  { name: "allocate", kind: "setup", load: ["--count", "2000"], against: "peers" },
  { name: "latency", kind: "latency", load: channel(200), against: "peers" },
  { name: "workers", kind: "workers", load: channel(200), rate: 100_000, against: "workers" },
  { name: "memory", kind: "memory", load: ["--count", "5000"], against: "peers" },
];
