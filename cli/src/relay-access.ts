import { readFileSync } from "node:fs";
import { ContractError, createRelayClient, type RelayClient } from "@culvert/contracts";
import { status } from "@grpc/grpc-js";
import { type Command, Option } from "commander";
import { readReadyFile } from "./ready-file.ts";
import { tokenOf } from "./token.ts";

export interface RelayAccessOptions {
  readyFile?: string;
  endpoint?: string;
  token?: string;
  tokenFile?: string;
  tls?: boolean;
  ca?: string;
  cert?: string;
  key?: string;
  json: boolean;
}

const TIMEOUT_MS = 10_000;

/** Options of every command that asks a relay. Its subcommands have them, too. */
export function withRelayAccess(command: Command): Command {
  return command
    .addOption(
      new Option("--ready-file <file>", "take what is missing from the file of 'culvert up'").env("CULVERT_READY_FILE"),
    )
    .addOption(
      new Option("--endpoint <host:port>", "gRPC listener of a relay (relay.grpc); any of a fleet").env(
        "CULVERT_ADMIN_ENDPOINT",
      ),
    )
    .addOption(new Option("--token <token>", "token of its operators (relay.grpc.token)").env("CULVERT_ADMIN_TOKEN"))
    .addOption(new Option("--token-file <file>", "file with that token").env("CULVERT_ADMIN_TOKEN_FILE"))
    .option("--tls", "speak TLS, trusting the system's authorities")
    .addOption(new Option("--ca <file>", "PEM: the authorities to trust; means TLS").env("CULVERT_ADMIN_CA"))
    .addOption(new Option("--cert <file>", "PEM: certificate of the operator (mTLS)").env("CULVERT_ADMIN_CERT"))
    .addOption(new Option("--key <file>", "PEM: key of that certificate").env("CULVERT_ADMIN_KEY"))
    .option("--json", "print JSON", false)
    .configureHelp({ showGlobalOptions: true });
}

/** Asks the relay that the options name. Rejects with an `Error` of one line. */
export async function askRelay<Result>(
  options: RelayAccessOptions,
  ask: (client: RelayClient) => Promise<Result>,
): Promise<Result> {
  const { endpoint, token } = resolve(options);
  const tls = readTls(options);
  const credentials = { ...(token === undefined ? {} : { token }), ...(tls === undefined ? {} : { tls }) };
  const client = createRelayClient({ target: endpoint, credentials, timeoutMs: TIMEOUT_MS });
  try {
    return await ask(client);
  } catch (error) {
    throw new Error(`${endpoint}: ${problem(error)}`);
  } finally {
    client.close();
  }
}

function resolve(options: RelayAccessOptions): { endpoint: string; token: string | undefined } {
  const { readyFile, endpoint } = options;
  const token = tokenOf(options);
  if (endpoint !== undefined) {
    if (!/^([^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/.test(endpoint)) {
      throw new Error(`--endpoint: ${endpoint}: must be host:port, an IPv6 address in brackets`);
    }
    return { endpoint, token };
  }
  if (readyFile === undefined) throw new Error("--endpoint: missing; give it, or --ready-file");
  const { admin } = readReadyFile(readyFile);
  if (admin === undefined) throw new Error(`${readyFile}: names no gRPC listener of a relay; give --endpoint`);
  return { endpoint: admin.endpoint, token: token ?? admin.token };
}

function readTls({ tls, ca, cert, key }: RelayAccessOptions) {
  if ((cert === undefined) !== (key === undefined)) throw new Error("--cert, --key: each needs the other");
  if (tls !== true && ca === undefined && cert === undefined) return undefined;
  return {
    ...(ca === undefined ? {} : { ca: read("--ca", ca) }),
    ...(cert === undefined ? {} : { cert: read("--cert", cert) }),
    ...(key === undefined ? {} : { key: read("--key", key) }),
  };
}

function read(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`${option}: ${file}: cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** What gRPC says of it, in one line. */
function problem(error: unknown): string {
  if (error instanceof ContractError) return `the answer is not understood (${error.message})`;
  if (!(error instanceof Error)) return String(error);
  const details = "details" in error && typeof error.details === "string" ? error.details : error.message;
  const [line = ""] = details.split("\n", 1);
  switch ("code" in error ? error.code : undefined) {
    case status.UNAVAILABLE:
      return `unreachable (${line})`;
    case status.DEADLINE_EXCEEDED:
      return `unreachable (no answer within ${TIMEOUT_MS / 1000} s)`;
    case status.UNAUTHENTICATED:
      return `not authenticated: ${line}`;
    case status.UNIMPLEMENTED:
      return "is no gRPC listener of a relay";
    default:
      return line;
  }
}
