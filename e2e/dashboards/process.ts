import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Stage } from "../chaos/support/stage.ts";
import { Child } from "../support/child.ts";
import { eventually, Hopeless } from "../support/eventually.ts";
import { CULVERT } from "../support/repo.ts";

const READY_MS = 60_000;
const STOP_MS = 30_000;
const HOST = "127.0.0.1";

export interface ServiceOptions {
  /** Name of the instance. */
  readonly name: string;
  /** The service, and the section of its configuration. */
  readonly service: "credential" | "relay" | "signaling" | "stun";
  readonly section: object;
  readonly opsPort: number;
}

/** A service as a process, which Prometheus scrapes. */
export class ServiceProcess {
  readonly name: string;
  readonly service: ServiceOptions["service"];
  /** `host:port` of its metrics. */
  readonly target: string;
  readonly #file: string;
  #child: Child | undefined;

  static async start(stage: Stage, options: ServiceOptions): Promise<ServiceProcess> {
    const { name, service, section, opsPort } = options;
    const file = join(await stage.folder(), `${name}.yaml`);
    await writeFile(file, JSON.stringify({ [service]: { ...section, ops: { port: opsPort } } }, null, 2));
    const process = new ServiceProcess(options, file);
    stage.atEnd(() => process.kill());
    await process.start();
    return process;
  }

  private constructor({ name, service, opsPort }: ServiceOptions, file: string) {
    this.name = name;
    this.service = service;
    this.target = `${HOST}:${opsPort}`;
    this.#file = file;
  }

  /** Starts the process, again perhaps. Resolves when it is ready. */
  async start(): Promise<void> {
    const child = new Child(process.execPath, [CULVERT, this.service, "--config", this.#file]);
    this.#child = child;
    await eventually(
      `${this.name} is ready`,
      async () => {
        if (child.ended) throw new Hopeless(`${this.name} ended:\n${child.output}`);
        const response = await fetch(`http://${this.target}/healthz/ready`, { signal: AbortSignal.timeout(2000) });
        if (response.status !== 200) throw new Error(`${await response.text()}; it wrote:\n${child.output}`);
        return true;
      },
      READY_MS,
    );
  }

  async metrics(): Promise<string> {
    const response = await fetch(`http://${this.target}/metrics`, { signal: AbortSignal.timeout(5000) });
    if (response.status !== 200) throw new Error(`${this.name}: /metrics: ${response.status}`);
    return await response.text();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.signal(signal);
  }

  async kill(): Promise<void> {
    if (this.#child === undefined || this.#child.ended) return;
    this.#child.signal("SIGKILL");
    await this.#child.exit(STOP_MS);
  }
}
