import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

const KEPT_OUTPUT = 4000;
const STOP_GRACE_MS = 5000;

export interface Running {
  readonly pid: number;
  /** Resolves when it has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** The end of what it printed. */
  output(): string;
  stop(): Promise<void>;
}

/** Every process this run started and that has not ended. */
const running = new Set<Running>();

/** Starts a process that goes on until it is stopped, on these cores. */
export function startPinned(
  cores: readonly number[],
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Running {
  // taskset replaces itself with the command, so the process id is the command's.
  const child = spawn("taskset", ["-c", cores.join(","), ...command], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const output = collect(child);
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  const server: Running = {
    pid: child.pid ?? 0,
    ended,
    output,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
  running.add(server);
  void ended.then(() => running.delete(server));
  return server;
}

/** Runs a command to its end and returns what it printed on stdout; its failure is thrown with what it said. */
export async function capture(
  command: readonly string[],
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<string> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    signal: options.signal,
    timeout: options.timeoutMs,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-KEPT_OUTPUT);
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  if (code === 0) return stdout;
  const why = stderr.trim() || (code === null ? `ended by ${signal}` : `exit code ${code}`);
  throw new Error(`${command.join(" ")}: ${why}`);
}

export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((server) => server.stop()));
}

function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-KEPT_OUTPUT);
    });
  }
  child.once("error", (error) => {
    text += error.message;
  });
  return () => text.trim();
}
