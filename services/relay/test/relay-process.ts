import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { later } from "./harness.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** The words that start a relay from its sources. */
export const RELAY_COMMAND: readonly [string, ...string[]] = [
  process.execPath,
  "--conditions",
  "development",
  "--import",
  "tsx",
  MAIN,
];

const STARTS_WITHIN_MS = 45_000;
/** For a test that runs a relay as a process. */
export const PROCESS_TEST_MS = 60_000;

interface Listener {
  readonly transport: string;
  readonly ip: string;
  readonly port: number;
}

export interface RelayProcess {
  readonly child: ChildProcess;
  /** All that it wrote. */
  readonly text: { readonly out: string; readonly err: string };
  /** With the ports that were taken. */
  readonly listeners: readonly Listener[];
  /** Where its ops server is. */
  readonly ops: string;
  /** Its log lines so far. */
  log(): readonly Record<string, unknown>[];
  /** Its exit code; null where a signal ended it. */
  readonly exit: Promise<number | null>;
}

/** A relay as a process of its own, once it serves. It is killed after the test. */
export async function runRelay(
  env: Readonly<Record<string, string>>,
  [program, ...args]: readonly [string, ...string[]] = RELAY_COMMAND,
): Promise<RelayProcess> {
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH ?? "", CULVERT_RELAY_OPS_PORT: "0", ...env },
  });
  const text = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    text.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    text.err += chunk;
  });
  later(() => child.kill("SIGKILL"));
  const exit = once(child, "close").then(([code]) => code);
  const log = (): Record<string, unknown>[] =>
    text.out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  const serving = () => log().find(({ msg }) => msg === "relay serves");
  // From its sources it takes seconds, and many where everything else runs at the same time.
  await expect.poll(() => serving() !== undefined || child.exitCode !== null, { timeout: STARTS_WITHIN_MS }).toBe(true);
  const line = serving();
  if (line === undefined) throw new Error(`it ended: ${text.err}`);
  const { host, port } = line.ops as { readonly host: string; readonly port: number };
  return { child, text, listeners: line.listeners as Listener[], ops: `http://${host}:${port}`, log, exit };
}
