import { setTimeout as sleep } from "node:timers/promises";
import { formatTurnUri, parseTurnUri } from "@culvert/stun";
import { type Command, InvalidArgumentError } from "commander";
import { type IceServer, issueCredentials } from "./api.ts";
import { type ApiAccessOptions, resolveApiAccess, withApiAccess } from "./api-access.ts";
import { wholeNumber } from "./numbers.ts";
import { type PingReport, pingTurn } from "./ping-turn.ts";
import type { Step } from "./steps.ts";

interface PingCommandOptions extends ApiAccessOptions {
  username?: string;
  password?: string;
  insecure: boolean;
  count: number;
  size: number;
  timeout: number;
  wait: number;
  json: boolean;
}

/** What to probe, and as whom. */
interface Target {
  readonly uri: string;
  readonly username: string;
  readonly password: string;
}

/** Between two tries. */
const PAUSE_MS = 2000;

/** Adds `ping-turn`. */
export function addPing(program: Command): void {
  withApiAccess(program.command("ping-turn"))
    .argument(
      "[uri]",
      "TURN URI such as 'turn:relay.example.org:3478?transport=udp'; without it, those that the API tells",
      (text) => {
        const parsed = parseTurnUri(text);
        if (parsed === undefined) throw new InvalidArgumentError("must be a turn: or turns: URI (RFC 7065).");
        return formatTurnUri(parsed);
      },
    )
    .description("allocate, relay to itself, and report each step's time, or the code and reason of its failure")
    .option("--username <name>", "TURN username; without it credentials come from the API")
    .option("--password <password>", "TURN password")
    .option("--insecure", "accept any certificate", false)
    .option("--count <packets>", "packets through the relay, each way of sending", wholeNumber(1, 10_000), 10)
    .option("--size <bytes>", "bytes a packet", wholeNumber(4, 1400), 200)
    .option("--timeout <ms>", "how long a step may take", wholeNumber(1, 60_000), 5000)
    .option("--wait <seconds>", "try again until it relays, for so long", wholeNumber(0, 3600), 0)
    .option("--json", "print one JSON object for each URI", false)
    .action(async (uri: string | undefined, options: PingCommandOptions) => {
      const deadline = performance.now() + options.wait * 1000;
      for (;;) {
        const last = performance.now() + PAUSE_MS >= deadline;
        if (await attempt(uri, options, last)) return;
        if (last) break;
        await sleep(PAUSE_MS);
      }
      process.exitCode = 1;
    });
}

/** Whether every URI relays. Of tries before the last, problems are told in one line. */
async function attempt(uri: string | undefined, options: PingCommandOptions, last: boolean): Promise<boolean> {
  let targets: readonly Target[];
  try {
    targets = await targetsOf(uri, options);
  } catch (error) {
    if (last) throw error;
    again(error instanceof Error ? error.message : String(error));
    return false;
  }
  const reports: PingReport[] = [];
  for (const target of targets) reports.push(await ping(target, options));
  const failed = reports.find(({ ok }) => !ok);
  if (failed !== undefined && !last) again(summary(failed));
  else if (options.json) for (const report of reports) process.stdout.write(`${JSON.stringify(report)}\n`);
  return failed === undefined;
}

const again = (problem: string): void => void process.stderr.write(`culvert: ${problem}; trying again\n`);

async function ping(target: Target, options: PingCommandOptions): Promise<PingReport> {
  const { insecure, count, size, timeout, json } = options;
  const print = json ? () => {} : (line: string) => void process.stdout.write(`${line}\n`);
  const report = await pingTurn({ ...target, insecure, count, size, timeoutMs: timeout }, (step) =>
    print(formatStep(step)),
  );
  print(summary(report));
  return report;
}

async function targetsOf(uri: string | undefined, options: PingCommandOptions): Promise<readonly Target[]> {
  const { username, password } = options;
  if (username !== undefined) {
    if (password === undefined) throw new Error("--password: missing; --username needs it");
    if (uri === undefined) throw new Error("<uri>: missing; --username needs it");
    return [{ uri, username, password }];
  }
  const iceServers = await issueCredentials(resolveApiAccess(options), { ttl: 300, user: "ping-turn" });
  const targets = iceServers.flatMap((server) => targetsAt(server, uri));
  if (targets.length === 0) throw new Error("the API issued no TURN credentials");
  return uri === undefined ? targets : targets.slice(0, 1);
}

function targetsAt({ urls, username, credential }: IceServer, uri: string | undefined): readonly Target[] {
  if (username === undefined || credential === undefined) return [];
  const uris = uri === undefined ? urls.filter((url) => parseTurnUri(url) !== undefined) : [uri];
  return uris.map((each) => ({ uri: each, username, password: credential }));
}

function formatStep({ step, ok, ms, detail, code, reason }: Step): string {
  const outcome = ok ? (detail ?? "") : `failed: ${code === undefined ? "" : `${code} `}${reason ?? ""}`;
  return `  ${step.padEnd(14)}${ms.toFixed(2).padStart(10)} ms  ${outcome}`.trimEnd();
}

function summary({ uri, ok, steps }: PingReport): string {
  const total = steps.reduce((sum, { ms }) => sum + ms, 0);
  return ok ? `${uri}: relays (${total.toFixed(0)} ms)` : `${uri}: does not relay (step '${steps.at(-1)?.step}')`;
}
