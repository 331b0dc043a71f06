import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { generatedFiles } from "../src/files.ts";
import { ALERT_GROUPS } from "../src/rules/alerts.ts";
import type { Alert } from "../src/rules/rule.ts";

const RULES = ["recording", "alerts"].map((name) => `charts/culvert/rules/${name}.yaml`);
const ALERTS = ALERT_GROUPS.flatMap(({ alerts }) => alerts);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "culvert-rules-"));
  for (const path of RULES) writeFileSync(join(folder, path.split("/").at(-1) ?? ""), generatedFiles().get(path) ?? "");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function promtool(...args: readonly string[]): { readonly code: number | null; readonly output: string } {
  const { status, stdout, stderr, error } = spawnSync("promtool", args, { cwd: folder, encoding: "utf8" });
  if (error !== undefined) throw new Error(`promtool: ${error.message} (Debian package prometheus)`);
  return { code: status, output: stdout + stderr };
}

it("rules are what Prometheus reads, templates of annotations included", () => {
  const { code, output } = promtool("check", "rules", "--lint-fatal", "recording.yaml", "alerts.yaml");
  expect(output).toContain(`SUCCESS: ${ALERTS.length} rules found`);
  expect(code, output).toBe(0);
});

it("alerts have names of their own", () => {
  expect(new Set(ALERTS.map(({ name }) => name)).size).toBe(ALERTS.length);
});

type Case = "fires" | "quiet";
const CASES = ["fires", "quiet"] as const;

/** Rules look at one namespace at a time, so each test has one of its own, and all of them run at once. */
const namespaceOf = ({ name }: Alert, kind: Case): string => `${name}-${kind}`;

const question = (alert: Alert, kind: Case): string =>
  `count(ALERTS{alertname="${alert.name}",alertstate="firing",namespace="${namespaceOf(alert, kind)}"})`;

interface Run {
  readonly alerts: readonly (readonly [alert: Alert, kind: Case])[];
  /** In place of the question with a namespace, for what is of none. */
  readonly ask?: (alert: Alert) => string;
}

function testOf({ alerts, ask }: Run): object {
  return {
    interval: "1m",
    input_series: alerts.flatMap(([alert, kind]) =>
      alert[kind].map(([series, values]) => ({
        series: series.replace('namespace="n"', `namespace="${namespaceOf(alert, kind)}"`),
        values,
      })),
    ),
    promql_expr_test: alerts.map(([alert, kind]) => ({
      expr: ask?.(alert) ?? question(alert, kind),
      eval_time: alert.at ?? "20m",
      exp_samples: kind === "fires" ? [{ labels: "{}", value: 1 }] : [],
    })),
  };
}

/** What promtool found wrong. */
let output = "";
const absent = (alert: Alert): string => `count(ALERTS{alertname="${alert.name}",alertstate="firing"})`;

beforeAll(() => {
  const cases = ALERTS.flatMap((alert) => CASES.map((kind) => [alert, kind] as const));
  const isOfNone = ([alert, kind]: (typeof cases)[number]): boolean => alert[kind].length === 0;
  const isLong = ([{ at = "" }]: (typeof cases)[number]): boolean => at.includes("h");
  const tests = [
    testOf({ alerts: cases.filter((one) => !isOfNone(one) && !isLong(one)) }),
    testOf({ alerts: cases.filter(isLong) }),
    ...cases.filter(isOfNone).map((one) => testOf({ alerts: [one], ask: absent })),
  ];
  const file = { rule_files: ["recording.yaml", "alerts.yaml"], evaluation_interval: "30s", tests };
  writeFileSync(join(folder, "tests.yaml"), stringify(file, { lineWidth: 0 }));
  const run = promtool("test", "rules", "tests.yaml");
  output = run.output;
  ran = output.includes("SUCCESS") || output.includes("FAILED");
}, 60_000);
let ran = false;

describe.each(ALERTS)("$name", (alert) => {
  const problem = (kind: Case): string | undefined => {
    const asked = alert[kind].length === 0 ? absent(alert) : question(alert, kind);
    return output.split(/(?=\s+expr: )/).find((part) => part.includes(JSON.stringify(asked)));
  };
  it("fires on what it is for", () => {
    expect(ran, output).toBe(true);
    expect(problem("fires")).toBeUndefined();
  });
  it("is quiet on what looks like it", () => {
    expect(ran, output).toBe(true);
    expect(problem("quiet")).toBeUndefined();
  });
});
