import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Figure, keeps, limitOf } from "../chaos/row.ts";
import { Stage } from "../chaos/support/stage.ts";
import { type Cluster, startCluster } from "./machine/cluster.ts";
import { explain } from "./machine/explain.ts";
import { SCENARIOS } from "./scenarios.ts";
import { STEPS } from "./steps/index.ts";
import { type Context, namesOf, type Scenario, type Step } from "./steps/step.ts";

/**
 * `make cluster-test`: a Kubernetes cluster on this machine, and in it the path that every user walks, once for each way to install
 * the platform. A table for people, one JSON line a figure, and `N passed, N failed`.
 */
const NODES = 2;
const started = performance.now();

function say(what: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(0).padStart(4);
  process.stdout.write(`${seconds} s  ${what}\n`);
}

interface Result {
  readonly scenario: string;
  readonly step: string;
  readonly figures: readonly Figure[];
  readonly error?: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" }, keep: { type: "boolean", default: false } } });
  const wanted = values.only?.split(",");
  const unknown = wanted?.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) {
    throw new Error(`--only: ${unknown}: must be of ${SCENARIOS.map(({ name }) => name).join(", ")}`);
  }
  const { CULVERT_CLUSTER_FOLDER: folder } = process.env;
  if (folder === undefined) throw new Error("start this by e2e/cluster/sandbox, as make cluster-test does");
  const stage = new Stage();
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => reject(new Error(`interrupted (${signal})`)));
    }
  });
  interrupted.catch(() => {});
  const results: Result[] = [];
  try {
    const chosen = SCENARIOS.filter(({ name }) => wanted?.includes(name) ?? true);
    await Promise.race([runAll(stage, folder, chosen, results), interrupted]);
  } finally {
    say("stopping what was started");
    await stage.clear();
  }
  report(results);
}

async function runAll(stage: Stage, folder: string, scenarios: readonly Scenario[], results: Result[]): Promise<void> {
  const start = performance.now();
  const cluster = await startCluster(stage, { folder, nodes: NODES, say });
  const seconds = (performance.now() - start) / 1000;
  results.push({
    scenario: "cluster",
    step: "start",
    figures: [{ what: `until ${NODES} nodes and the name server were ready`, value: seconds, unit: "s" }],
  });
  say(`versions: ${await cluster.versions()}`);
  for (const scenario of scenarios) {
    const names = namesOf("culvert", `culvert-${scenario.name.toLowerCase()}`);
    const shared = { cluster, scenario, names, folder: join(folder, scenario.name), found: {} };
    let broken = false;
    for (const step of STEPS) {
      const result: Result = broken
        ? { scenario: scenario.name, step: step.name, figures: [], error: "not tried: a step before it failed" }
        : await attempt(step, shared);
      results.push(result);
      broken ||= result.error !== undefined;
    }
    // The next scenario finds an empty cluster.
    if (broken) await clean(cluster, names.namespace);
  }
}

async function attempt(step: Step, shared: Omit<Context, "stage" | "say">): Promise<Result> {
  const stage = new Stage();
  const { scenario } = shared;
  say(`${scenario.name}: ${step.name}`);
  try {
    const figures = await step.run({ ...shared, stage, say: (what) => say(`    ${what}`) });
    return { scenario: scenario.name, step: step.name, figures };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say(`FAILED: ${text}`);
    say(await explain(shared.cluster, shared.names.namespace));
    return { scenario: scenario.name, step: step.name, figures: [], error: text.split("\n")[0] ?? "" };
  } finally {
    await stage.clear().catch((error: unknown) => say(String(error)));
  }
}

async function clean({ helm, kubectl }: Cluster, namespace: string): Promise<void> {
  await helm(["uninstall", "culvert", "-n", namespace, "--ignore-not-found"]).catch(() => "");
  const force = ["--grace-period=0", "--force"];
  await kubectl(["-n", namespace, "delete", "pods", "--all", ...force]).catch(() => "");
  await kubectl(["delete", "namespace", namespace, "--timeout=60s"], { timeoutMs: 70_000 }).catch(() => "");
}

function report(results: readonly Result[]): void {
  process.stdout.write("\n");
  for (const { scenario, step, figures, error } of results) {
    const verdict = error !== undefined ? "FAILED" : figures.every(keeps) ? "ok" : "MISSED";
    process.stdout.write(`${`${scenario}: ${step}`.padEnd(84)} ${verdict}\n`);
    if (error !== undefined) process.stdout.write(`    ${error}\n`);
    for (const figure of figures) print(scenario, step, figure);
  }
  const passed = results.filter(({ figures, error }) => error === undefined && figures.every(keeps)).length;
  const failed = results.length - passed;
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

function print(scenario: string, step: string, figure: Figure): void {
  const { what, value, unit, atMost, atLeast } = figure;
  const shown = Number.isInteger(value) ? String(value) : value.toFixed(1);
  const limit = limitOf(figure);
  const verdict = limit === "" ? "" : keeps(figure) ? "ok" : "MISSED";
  const line = `    ${what.padEnd(60)} ${`${shown} ${unit}`.padStart(16)}   ${limit.padEnd(20)} ${verdict}`;
  process.stdout.write(`${line.trimEnd()}\n`);
  process.stdout.write(`${JSON.stringify({ cluster: scenario, step, what, value, unit, atMost, atLeast })}\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
// What a failed start left is the sandbox's to end.
process.exit();
