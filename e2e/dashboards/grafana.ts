import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Prometheus, Series } from "./prometheus.ts";
import { SCRAPE_SECONDS } from "./prometheus.ts";

const FOLDER = fileURLToPath(new URL("../../charts/culvert/dashboards", import.meta.url));

/** Of a graph, as Grafana would ask for it: the time shown, and the points that it has room for. */
const POINTS = 300;

export interface Target {
  readonly expr: string;
  readonly instant?: boolean;
}

export interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly Target[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly allValue?: string;
  readonly definition?: string;
}

/** A dashboard as the chart ships it. */
export interface ShippedDashboard {
  readonly file: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}

export function shippedDashboards(): readonly ShippedDashboard[] {
  return readdirSync(FOLDER).map((file) => ({ file, ...JSON.parse(readFileSync(`${FOLDER}/${file}`, "utf8")) }));
}

/** What the variables of a dashboard stand for when All is chosen. */
export type Choice = Readonly<Record<string, string>>;

const LABEL_VALUES = /^label_values\((.+), (\w+)\)$/;

/** Asks for the values of each variable in turn, as Grafana does when a dashboard is opened. */
export async function chooseAll(prometheus: Prometheus, { templating }: ShippedDashboard): Promise<Choice> {
  const choice: Record<string, string> = {};
  for (const { name, type, allValue, definition = "" } of templating.list) {
    if (type !== "query") continue;
    const [, selector, label] = LABEL_VALUES.exec(definition) ?? [];
    if (selector === undefined || label === undefined) throw new Error(`$${name}: ${definition}: not label_values(…)`);
    const values = await prometheus.labelValues(substitute(selector, choice, 60), label);
    if (values.length === 0) throw new Error(`$${name}: ${definition}: there is nothing to choose`);
    choice[name] = allValue ?? `(${values.map(escapeRegex).join("|")})`;
  }
  return choice;
}

/** The expression with its variables replaced, for a graph of so many seconds. */
export function substitute(expr: string, choice: Choice, seconds: number): string {
  const step = stepOf(seconds);
  const builtIn: Choice = {
    __rate_interval: `${Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s`,
    __interval: `${step}s`,
    __range: `${seconds}s`,
  };
  const replaced = expr.replace(/\$(\w+)/g, (all, name: string) => builtIn[name] ?? choice[name] ?? all);
  const [left] = replaced.match(/\$\w+/) ?? [];
  if (left !== undefined) throw new Error(`${left}: a variable that the dashboard does not have`);
  return replaced;
}

/** The series of a query, asked for as its panel does. */
export async function seriesOf(
  prometheus: Prometheus,
  { expr, instant }: Target,
  choice: Choice,
  seconds: number,
): Promise<readonly Series[]> {
  // What stands in for nothing would hide that there is nothing.
  const query = substitute(expr.replace(/ or vector\(0\)/g, ""), choice, seconds);
  return instant === true ? await prometheus.now(query) : await prometheus.range(query, seconds, stepOf(seconds));
}

/** Whether there is something to see. */
export function hasData(series: readonly Series[]): boolean {
  return series.some(({ values }) => values.some(Number.isFinite));
}

function stepOf(seconds: number): number {
  return Math.max(SCRAPE_SECONDS, Math.ceil(seconds / POINTS));
}

/** As Grafana writes a value into a regular expression inside of a text of PromQL. */
function escapeRegex(value: string): string {
  return value.replace(/[\\^$.*+?()[\]{}|]/g, "\\\\$&");
}
