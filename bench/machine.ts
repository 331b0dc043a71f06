import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";

/** The core that servers run on and the core that the generator runs on. */
export interface Cores {
  readonly server: number;
  readonly generator: number;
  /** False when this process may use one core only, which both then share. */
  readonly apart: boolean;
}

export function chooseCores(): Cores {
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const cores = list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  const server = cores[0] ?? 0;
  const generator = cores[1] ?? server;
  return { server, generator, apart: server !== generator };
}

export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  return `${cpus().length} cores of ${model}, Linux ${release()}, Node.js ${process.version}`;
}

/** Load of the last minute, which is 0 on a machine that does nothing else. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

export function commit(): string {
  try {
    const hash = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
    const changed = execFileSync("git", ["status", "--porcelain", "--untracked-files=no"], { encoding: "utf8" });
    return changed === "" ? hash : `${hash}, with changes`;
  } catch {
    return "unknown commit";
  }
}
