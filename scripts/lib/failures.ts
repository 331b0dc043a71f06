/** What failed in a test run, told once more where the eye falls: at its end, and short. */
import { relative } from "node:path";

/** The part of vitest's JSON report that is read here. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

const REASON_LINES = 12;

/** One text per failed test, and one per file that failed outside of its tests (it does not load, or a hook of it throws). */
export function vitestFailures(report: VitestReport, root: string): string[] {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter((result) => result.status === "failed");
    if (failed.length === 0) return status === "failed" ? [failure(file, message)] : [];
    return failed.map((result) => failure(`${file}: ${result.fullName}`, result.failureMessages?.join("\n")));
  });
}

/** One text per failed test that `cargo test` tells of in its output. */
export function cargoFailures(output: string): string[] {
  return [...output.matchAll(/^---- (\S+) stdout ----\n([\s\S]*?)(?=^---- |^failures:)/gm)].map(([, name, reason]) =>
    failure(`cargo: ${name}`, reason),
  );
}

function failure(name: string, reason = ""): string {
  const lines = reason.split("\n").filter((line) => line.trim() !== "" && !line.includes("/node_modules/"));
  const shown = lines.slice(0, REASON_LINES).map((line) => `    ${line.trimEnd()}`);
  return [`FAILED ${name}`, ...shown].join("\n");
}
