/** Runs every test: vitest's projects and, where a working cargo is there, the Rust ones. The last line is the sum. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { useRunFolder } from "../libs/testkit/src/run-folder.ts";
import { cargoFailures, type VitestReport, vitestFailures } from "./lib/failures.ts";

interface Tally {
  passed: number;
  failed: number;
  /** What failed, a text each. */
  failures: string[];
}

interface Report extends VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly success: boolean;
}

function runVitest(filters: readonly string[]): Tally {
  const folder = mkdtempSync(join(tmpdir(), "culvert-test-"));
  const report = join(folder, "report.json");
  try {
    const run = spawnSync(
      "node_modules/.bin/vitest",
      ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...filters],
      { stdio: "inherit" },
    );
    if (!existsSync(report)) return { passed: 0, failed: 1, failures: ["FAILED vitest: it ended without a report"] };
    const result: Report = JSON.parse(readFileSync(report, "utf8"));
    const failed = result.numFailedTests;
    // A file that does not load, or an error outside of a test, fails the run without a failed test.
    const broken = failed === 0 && (run.status !== 0 || !result.success) ? 1 : 0;
    const failures = vitestFailures(result, process.cwd());
    if (broken > 0 && failures.length === 0) failures.push("FAILED vitest: an error outside of the tests, see above");
    return { passed: result.numPassedTests, failed: failed + broken, failures };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function runCargo(): Tally {
  if (!existsSync("Cargo.toml")) return { passed: 0, failed: 0, failures: [] };
  if (spawnSync("cargo", ["--version"]).status !== 0) {
    console.log("culvert: a working cargo is missing: the Rust tests were not run");
    return { passed: 0, failed: 0, failures: [] };
  }
  const run = spawnSync("cargo", ["test", "--workspace", "--locked", "--quiet"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 * 1024 * 1024,
  });
  process.stdout.write(run.stdout);
  const sums = [...run.stdout.matchAll(/test result: \w+\. (\d+) passed; (\d+) failed/g)];
  const tally = { passed: 0, failed: 0, failures: cargoFailures(run.stdout) };
  for (const [, passed, failed] of sums) {
    tally.passed += Number(passed);
    tally.failed += Number(failed);
  }
  if (run.status !== 0 && tally.failed === 0) {
    tally.failed = 1;
    tally.failures.push("FAILED cargo test: see above");
  }
  return tally;
}

useRunFolder();
const filters = process.argv.slice(2);
// The Rust tests first: what vitest says of errors outside of the tests stands at the end then.
const cargo = filters.length === 0 ? runCargo() : { passed: 0, failed: 0, failures: [] };
const vitest = runVitest(filters);
const passed = vitest.passed + cargo.passed;
const failed = vitest.failed + cargo.failed;
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
for (const failure of [...cargo.failures, ...vitest.failures]) console.log(failure);
console.log(`${passed} passed, ${failed} failed`);
