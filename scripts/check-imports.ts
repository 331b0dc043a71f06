/**
 * Imports point one way: services -> adapters -> ports -> pure cores. The rules are in .dependency-cruiser.json. A checker
 * that cannot read TypeScript reports no violation, so this also asserts that it saw the modules and their imports.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

interface Report {
  readonly modules: readonly {
    readonly source: string;
    readonly dependencies: readonly { readonly resolved: string }[];
  }[];
  readonly summary: {
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string };
    }[];
  };
}

const roots = ["libs", "services", "cli"];
const run = spawnSync(
  "node_modules/.bin/depcruise",
  ["--config", ".dependency-cruiser.json", "--output-type", "json", ...roots],
  { encoding: "utf8", maxBuffer: 256 * 1024 * 1024 },
);
if (!run.stdout.startsWith("{")) {
  console.error(run.stderr || run.stdout);
  process.exit(1);
}
const report: Report = JSON.parse(run.stdout);

const onDisk = roots
  .flatMap((root) => readdirSync(root, { recursive: true, encoding: "utf8" }).map((path) => `${root}/${path}`))
  .filter((path) => /\/src\/.*\.ts$/.test(path) && !path.endsWith(".d.ts") && !/node_modules|\/dist\//.test(path));
const seen = new Set(report.modules.map((module) => module.source));
const unseen = onDisk.filter((path) => !seen.has(path));
const crossing = report.modules
  .filter((module) => module.source.startsWith("services/"))
  .flatMap((module) => module.dependencies)
  .filter((dependency) => dependency.resolved.startsWith("libs/"));

const problems = [
  ...report.summary.violations.map((violation) => `${violation.rule.name}: ${violation.from} -> ${violation.to}`),
  ...unseen.map((path) => `not seen by the import checker: ${path}`),
  ...(crossing.length === 0 ? ["the import checker resolved no import from a service to a library"] : []),
];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`${report.modules.length} modules, ${crossing.length} imports from services to libraries`);
