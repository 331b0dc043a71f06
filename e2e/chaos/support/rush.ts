import { parseTurnUri } from "@culvert/stun";
import { run } from "../../support/child.ts";

/** The load generator of the benchmarks: what the clients take of the machine, the relay does not have. */
const LOADGEN = "target/release/loadgen";
/** A client that is not answered gives up after this. */
const LIMIT_S = 30;
/** For all of it, the release included. */
const TIMEOUT_MS = 120_000;

export interface RushOptions {
  readonly clients: number;
  /** A TURN URI with an IPv4 address; UDP. */
  readonly server: string;
  readonly username: string;
  readonly password: string;
}

export interface RushReport {
  readonly granted: number;
  /** By what they were told, or "timeout". */
  readonly refused: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly retransmissions: number;
  /** The share of one core that the clients themselves took. */
  readonly busy: number;
}

/**
 * Clients that all allocate at the same moment, each from a loopback address of its own, as clients of the internet are, and
 * ask again as RFC 8489 has it. All is released afterwards.
 */
export async function rush({ clients, server, username, password }: RushOptions): Promise<RushReport> {
  const uri = parseTurnUri(server);
  if (uri === undefined) throw new Error(`'${server}' is not a TURN URI`);
  const target = ["--server", `${uri.host}:${uri.port}`, "--username", username, "--password", password];
  const args = ["rush", ...target, "--count", `${clients}`, "--limit", `${LIMIT_S}`];
  const { code, stdout, stderr } = await run(LOADGEN, args, { timeoutMs: TIMEOUT_MS });
  if (code !== 0) throw new Error(`${LOADGEN} ${args.join(" ")}: ${stderr}`);
  const told: { readonly rushed: Omit<RushReport, "busy">; readonly busy: number; readonly socketDrops: number } =
    JSON.parse(stdout);
  if (told.socketDrops > 0) throw new Error(`the clients lost ${told.socketDrops} answers in their own socket`);
  return { ...told.rushed, busy: told.busy };
}
