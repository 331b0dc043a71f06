import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "../../support/child.ts";
import { eventually, Hopeless } from "../../support/eventually.ts";
import { parseMetrics, type Sample, total } from "../../support/metrics.ts";
import { CULVERT } from "../../support/repo.ts";
import type { Stage } from "./stage.ts";

export interface RelayOptions {
  readonly name: string;
  /** Section `relay` of its configuration. */
  readonly config: object;
  readonly ops: { readonly host: string; readonly port: number };
  /** The network namespace that it runs in. */
  readonly namespace?: string;
  /** A command that runs it, for example one that sets limits. */
  readonly wrap?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It collects garbage at SIGUSR2. */
  readonly collects?: boolean;
}

const COLLECTS = ["--expose-gc", "--import", "data:text/javascript,process.on('SIGUSR2', () => gc())"] as const;

/** For a process that hangs; one that ends is noticed at once. */
const READY_MS = 60_000;
const STOP_MS = 60_000;
/** How long a look may take that is one of many, and one that is not. */
const LOOK_MS = 5_000;
const ANSWER_MS = 60_000;
const POLL_MS = 50;

/** A relay process that can be killed, stopped, frozen and started again. */
export class RelayProcess {
  readonly name: string;
  readonly #options: RelayOptions;
  readonly #file: string;
  #child: Child | undefined;

  static async create(stage: Stage, options: RelayOptions): Promise<RelayProcess> {
    const file = join(await stage.folder(), `${options.name}.yaml`);
    await writeFile(file, JSON.stringify({ relay: { ...options.config, ops: options.ops } }, null, 2));
    const relay = new RelayProcess(options, file);
    stage.atEnd(() => relay.kill());
    return relay;
  }

  private constructor(options: RelayOptions, file: string) {
    this.name = options.name;
    this.#options = options;
    this.#file = file;
  }

  get output(): string {
    return this.#child?.output ?? "";
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.ended === undefined;
  }

  /** Starts the process, and returns before it is ready. */
  launch(env: Readonly<Record<string, string>> = {}): void {
    const { namespace, wrap = [], collects = false } = this.#options;
    const node = [process.execPath, ...(collects ? COLLECTS : [])];
    const inside = namespace === undefined ? [] : ["ip", "netns", "exec", namespace];
    const [file = "", ...args] = [...inside, ...wrap, ...node, CULVERT, "relay", "--config", this.#file];
    this.#child = new Child(file, args, { env: { ...this.#options.env, ...env } });
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.launch(env);
    await this.ready();
  }

  async ready(): Promise<void> {
    await eventually(
      `${this.name} is ready`,
      async () => {
        const child = this.#child;
        if (child === undefined || child.ended) throw new Hopeless(`${this.name} ended:\n${this.output}`);
        const answer = await this.#get("/healthz/ready", LOOK_MS);
        if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}; it wrote:\n${this.output}`);
        return true;
      },
      READY_MS,
    );
  }

  async metrics(timeoutMs: number = ANSWER_MS): Promise<readonly Sample[]> {
    const { status, text } = await this.#get("/metrics", timeoutMs);
    if (status !== 200) throw new Error(`${this.name}: /metrics: ${status}`);
    return parseMetrics(text);
  }

  /** The sum of a metric's series that have these labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return total(await this.metrics(), name, labels);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.signal(signal);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.ended) return;
    child.signal("SIGCONT");
    child.signal("SIGKILL");
    await child.exit(STOP_MS);
  }

  /** Waits for the end of the process. */
  async ended(timeoutMs: number = STOP_MS): Promise<number | null> {
    const child = this.#child;
    return child === undefined ? null : (await child.exit(timeoutMs)).code;
  }

  /** Milliseconds until `holds` is true of the metrics. */
  async timeUntil(holds: (samples: readonly Sample[]) => boolean, timeoutMs: number): Promise<number> {
    const start = performance.now();
    for (;;) {
      const samples = await this.metrics(LOOK_MS).catch(() => undefined);
      const passed = performance.now() - start;
      if (samples !== undefined && holds(samples)) return passed;
      if (passed > timeoutMs) return Number.POSITIVE_INFINITY;
      await sleep(POLL_MS);
    }
  }

  async #get(path: string, timeoutMs: number): Promise<{ readonly status: number; readonly text: string }> {
    const { host, port } = this.#options.ops;
    const { namespace } = this.#options;
    const url = `http://${host}:${port}${path}`;
    if (namespace === undefined) {
      const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
      return { status: response.status, text: await response.text() };
    }
    const get = `fetch(${JSON.stringify(url)}).then(async(r)=>console.log(r.status+"\\n"+await r.text()))`;
    const child = new Child("ip", ["netns", "exec", namespace, process.execPath, "-e", get]);
    await child.exit(timeoutMs);
    const [status = "0", ...lines] = child.stdout.split("\n");
    return { status: Number(status), text: lines.join("\n") };
  }
}
