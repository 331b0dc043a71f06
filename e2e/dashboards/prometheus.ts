import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Stage } from "../chaos/support/stage.ts";
import { Child, requireProgram } from "../support/child.ts";
import { eventually, Hopeless } from "../support/eventually.ts";
import { freePorts } from "../support/ports.ts";
import type { ServiceProcess } from "./process.ts";

const SERVER = "/usr/bin/prometheus";
const HOST = "127.0.0.1";
const START_MS = 30_000;
export const SCRAPE_SECONDS = 1;
/** As Kubernetes would have it. */
export const NAMESPACE = "culvert-system";
export const RULES: string = fileURLToPath(new URL("../../charts/culvert/rules", import.meta.url));

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** What it was at each step, or now. */
  readonly values: readonly number[];
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: unknown;
}

interface Result {
  readonly resultType: "matrix" | "vector" | "scalar" | "string";
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value?: readonly [number, string];
    readonly values?: readonly (readonly [number, string])[];
  }[];
}

export interface RuleHealth {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

/** A real Prometheus that scrapes the services every second and evaluates the chart's rules. */
export class Prometheus {
  readonly url: string;

  static async start(stage: Stage, services: readonly ServiceProcess[]): Promise<Prometheus> {
    requireProgram(SERVER, "prometheus");
    const folder = await stage.folder();
    const [port = 0] = await freePorts(1);
    const file = join(folder, "prometheus.json");
    await writeFile(file, JSON.stringify(configuration(services), null, 2));
    const child = new Child(SERVER, [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${HOST}:${port}`,
      "--storage.tsdb.retention.time=1h",
    ]);
    stage.atEnd(() => child.stop());
    const prometheus = new Prometheus(`http://${HOST}:${port}`);
    await eventually(
      "Prometheus is ready",
      async () => {
        if (child.ended) throw new Hopeless(`Prometheus ended:\n${child.output}`);
        return (await fetch(`${prometheus.url}/-/ready`)).status === 200 || undefined;
      },
      START_MS,
    );
    return prometheus;
  }

  private constructor(url: string) {
    this.url = url;
  }

  async now(expr: string): Promise<readonly Series[]> {
    return seriesOf(await this.#ask("query", { query: expr }));
  }

  /** From so many seconds ago until now, at each step. */
  async range(expr: string, seconds: number, step: number): Promise<readonly Series[]> {
    const end = Math.floor(Date.now() / 1000);
    const times = { start: String(end - seconds), end: String(end), step: String(step) };
    return seriesOf(await this.#ask("query_range", { query: expr, ...times }));
  }

  /** `label_values(selector, label)` of Grafana. */
  async labelValues(selector: string, label: string): Promise<readonly string[]> {
    const values = await this.#ask(`label/${label}/values`, { "match[]": selector });
    return Array.isArray(values) ? values.map(String) : [];
  }

  async rules(): Promise<readonly RuleHealth[]> {
    const data = await this.#ask("rules", {});
    const { groups }: { groups: readonly { readonly rules: readonly RuleHealth[] }[] } = JSON.parse(
      JSON.stringify(data),
    );
    return groups.flatMap(({ rules }) => rules);
  }

  async #ask(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`, {
      signal: AbortSignal.timeout(30_000),
    });
    const answer: Answer = JSON.parse(await response.text());
    if (answer.status !== "success") throw new Error(`Prometheus: ${answer.error}`);
    return answer.data;
  }
}

function seriesOf(data: unknown): readonly Series[] {
  const { result }: Result = JSON.parse(JSON.stringify(data));
  return result.map(({ metric, value, values }) => ({
    metric,
    values: (values ?? (value === undefined ? [] : [value])).map(([, text]) => Number(text)),
  }));
}

function configuration(services: readonly ServiceProcess[]): object {
  const seconds = `${SCRAPE_SECONDS}s`;
  return {
    global: { scrape_interval: seconds, scrape_timeout: seconds, evaluation_interval: seconds },
    rule_files: [`${RULES}/*.yaml`],
    scrape_configs: [
      {
        job_name: "culvert",
        static_configs: services.map(({ name, target }) => ({
          targets: [target],
          labels: { namespace: NAMESPACE, instance: name },
        })),
      },
    ],
  };
}
