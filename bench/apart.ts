import { spawn } from "node:child_process";
import { once } from "node:events";

const MARK = "CULVERT_BENCH_APART";
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Whether this process was started by `runApart`. */
export function isApart(): boolean {
  return process.env[MARK] !== undefined;
}

/** Runs this program again, with the same arguments, in a network namespace of its own, and takes over its exit code. */
export async function runApart(loadgen: string): Promise<void> {
  const [script = "", ...args] = process.argv.slice(1);
  const command = [process.execPath, ...process.execArgv, script, ...args];
  const child = spawn(loadgen, ["apart", "--", ...command], { stdio: "inherit", env: { ...process.env, [MARK]: "1" } });
  // A terminal signals both; whoever ends this one alone means the other, too.
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, "exit")) as [number | null, string | null];
  process.exitCode = code ?? 1;
}
