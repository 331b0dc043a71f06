import type { TurnAccount } from "./account.ts";
import { requireProgram, run } from "./child.ts";

const UCLIENT = "/usr/bin/turnutils_uclient";

export interface UclientRun {
  readonly account: TurnAccount;
  /** The server's address and port. */
  readonly host: string;
  readonly port: number;
  readonly transport: "udp" | "tcp" | "tls";
  /** Send and Data indications instead of channels (`-s`). */
  readonly sendMethod?: boolean;
  /** Ask for an IPv6 relayed address (`-x`). */
  readonly ipv6?: boolean;
  /** The peer that echoes. Without one the clients talk to each other through their relayed addresses (`-y`). */
  readonly peer?: { readonly host: string; readonly port: number };
  /** Without a second allocation for RTCP (`-c`). */
  readonly withoutRtcp?: boolean;
  /** `-m` */
  readonly clients: number;
  /** Messages a client (`-n`). */
  readonly messages: number;
  /** Milliseconds between the messages of a client (`-z`). */
  readonly intervalMs?: number;
  /** Bytes a message (`-l`). */
  readonly bytes?: number;
}

export interface UclientReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly dropped: number;
}

const TIMEOUT_MS = 110_000;

function flagsOf(options: UclientRun): string[] {
  const { account, transport, peer, clients, messages, intervalMs = 20, bytes = 100 } = options;
  const flags = ["-u", account.username, "-w", account.password, "-p", String(options.port)];
  flags.push("-m", String(clients), "-n", String(messages), "-z", String(intervalMs), "-l", String(bytes));
  if (transport !== "udp") flags.push("-t");
  if (transport === "tls") flags.push("-S");
  if (options.sendMethod) flags.push("-s");
  if (options.ipv6) flags.push("-x");
  if (options.withoutRtcp) flags.push("-c");
  if (peer) flags.push("-e", peer.host, "-r", String(peer.port));
  else flags.push("-y");
  return flags;
}

/** Runs turnutils_uclient to its end and reads its summary. */
export async function uclient(options: UclientRun): Promise<UclientReport> {
  const program = requireProgram(UCLIENT, "coturn");
  const { code, stdout, stderr } = await run(program, [...flagsOf(options), options.host], { timeoutMs: TIMEOUT_MS });
  const output = `${stdout}${stderr}`;
  // Progress lines go on after the count; the one of the summary ends with it.
  const messages = /tot_send_msgs=(\d+), tot_recv_msgs=(\d+)\s*$/m.exec(output);
  const losses = /Total lost packets (\d+) .*total send dropped (\d+)/.exec(output);
  if (code !== 0 || !messages || !losses) throw new Error(`turnutils_uclient ended with ${code}:\n${output}`);
  return {
    sent: Number(messages[1]),
    received: Number(messages[2]),
    lost: Number(losses[1]),
    dropped: Number(losses[2]),
  };
}
