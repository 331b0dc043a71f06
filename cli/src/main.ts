import { formatTurnUri, parseTurnUri } from "@culvert/stun";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type ApiAccess, issueCredentials } from "./api.ts";
import { addImportCoturn } from "./import-coturn.ts";
import { wholeNumber } from "./numbers.ts";
import { type PingReport, pingTurn } from "./ping-turn.ts";
import { readReadyFile } from "./ready-file.ts";
import { addAllocations, addRelays } from "./relays.ts";
import { SERVICES } from "./services.ts";
import type { Step } from "./steps.ts";

const VERSION = "0.1.0";

/**
 * The `culvert` command. `args` are the words after the command's name. Sets `process.exitCode`: 0 done, 1 the work failed,
 * 2 the words or the configuration are wrong.
 */
export async function main(args: readonly string[]): Promise<void> {
  const [word = "help", ...rest] = args;
  const service = SERVICES[word];
  if (service !== undefined) return service.run(rest);
  const program = new Command("culvert")
    .description("TURN, STUN, signaling and credentials: connects endpoints that NATs and firewalls keep apart")
    .version(VERSION)
    .exitOverride()
    .showSuggestionAfterError();
  for (const [name, { description }] of Object.entries(SERVICES)) program.command(name).description(description);
  addCredentials(program);
  addPing(program);
  addRelays(program);
  addAllocations(program);
  addImportCoturn(program);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    process.stderr.write(`culvert: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

interface AccessOptions {
  readyFile?: string;
  apiUrl?: string;
  keyId?: string;
  token?: string;
}

function withAccess(command: Command): Command {
  return command
    .addOption(
      new Option("--ready-file <file>", "take what is missing from the file of 'culvert up'").env("CULVERT_READY_FILE"),
    )
    .addOption(new Option("--api-url <url>", "credential API").env("CULVERT_API_URL"))
    .addOption(new Option("--key-id <id>", "TURN key id").env("CULVERT_KEY_ID"))
    .addOption(new Option("--token <token>", "API token").env("CULVERT_API_TOKEN"));
}

function resolveAccess(options: AccessOptions): ApiAccess {
  const file = options.readyFile === undefined ? undefined : readReadyFile(options.readyFile);
  const apiUrl = options.apiUrl ?? file?.apiUrl;
  const keyId = options.keyId ?? file?.keyId;
  const token = options.token ?? file?.token;
  if (apiUrl === undefined) throw new Error("--api-url: missing; give it, or --ready-file");
  if (keyId === undefined) throw new Error("--key-id: missing; give it, or --ready-file");
  if (token === undefined) throw new Error("--token: missing; give it, or --ready-file");
  return { apiUrl, keyId, token };
}

function addCredentials(program: Command): void {
  const credentials = program.command("credentials").description("TURN credentials");
  withAccess(credentials.command("issue"))
    .description("issue credentials; prints iceServers for RTCPeerConnection as JSON")
    .option("--user <id>", "the user they are for")
    .option("--ttl <seconds>", "lifetime", wholeNumber(1, 172_800), 3600)
    .action(async (options: AccessOptions & { user?: string; ttl: number }) => {
      const iceServers = await issueCredentials(resolveAccess(options), {
        ttl: options.ttl,
        ...(options.user === undefined ? {} : { user: options.user }),
      });
      process.stdout.write(`${JSON.stringify({ iceServers }, null, 2)}\n`);
    });
}

interface PingCommandOptions extends AccessOptions {
  username?: string;
  password?: string;
  insecure: boolean;
  count: number;
  size: number;
  timeout: number;
  json: boolean;
}

function addPing(program: Command): void {
  withAccess(program.command("ping-turn"))
    .argument("<uri>", "TURN URI, for example 'turn:relay.example.org:3478?transport=udp'", (text) => {
      const parsed = parseTurnUri(text);
      if (parsed === undefined) throw new InvalidArgumentError("must be a turn: or turns: URI (RFC 7065).");
      return formatTurnUri(parsed);
    })
    .description("allocate, relay to itself, and report each step's time, or the code and reason of its failure")
    .option("--username <name>", "TURN username; without it credentials come from the API")
    .option("--password <password>", "TURN password")
    .option("--insecure", "accept any certificate", false)
    .option("--count <packets>", "packets through the relay, each way of sending", wholeNumber(1, 10_000), 10)
    .option("--size <bytes>", "bytes a packet", wholeNumber(4, 1400), 200)
    .option("--timeout <ms>", "how long a step may take", wholeNumber(1, 60_000), 5000)
    .option("--json", "print one JSON object", false)
    .action(async (uri: string, options: PingCommandOptions) => {
      const { username, password } = await pingCredentials(options);
      const { insecure, count, size, timeout, json } = options;
      const report = await pingTurn(
        { uri, username, password, insecure, count, size, timeoutMs: timeout },
        json ? () => {} : (step) => process.stdout.write(`${formatStep(step)}\n`),
      );
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${summary(report)}\n`);
      if (!report.ok) process.exitCode = 1;
    });
}

async function pingCredentials(options: PingCommandOptions): Promise<{ username: string; password: string }> {
  if (options.username !== undefined) {
    if (options.password === undefined) throw new Error("--password: missing; --username needs it");
    return { username: options.username, password: options.password };
  }
  const iceServers = await issueCredentials(resolveAccess(options), { ttl: 300, user: "ping-turn" });
  for (const { username, credential } of iceServers) {
    if (username !== undefined && credential !== undefined) return { username, password: credential };
  }
  throw new Error("the API issued no TURN credentials");
}

function formatStep({ step, ok, ms, detail, code, reason }: Step): string {
  const outcome = ok ? (detail ?? "") : `failed: ${code === undefined ? "" : `${code} `}${reason ?? ""}`;
  return `  ${step.padEnd(14)}${ms.toFixed(2).padStart(10)} ms  ${outcome}`.trimEnd();
}

function summary({ uri, ok, steps }: PingReport): string {
  const total = steps.reduce((sum, { ms }) => sum + ms, 0);
  return ok ? `${uri}: relays (${total.toFixed(0)} ms)` : `${uri}: does not relay (step '${steps.at(-1)?.step}')`;
}
