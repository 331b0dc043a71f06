import { Child, requireProgram } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { freePorts } from "../../support/ports.ts";
import type { Stage } from "./stage.ts";

const SERVER = "/usr/sbin/nats-server";
const TIMEOUT_MS = 60_000;

/** A NATS server with JetStream, which finds its streams again when it is started again. */
export class NatsProcess {
  readonly url: string;
  readonly #port: number;
  readonly #monitorPort: number;
  readonly #folder: string;
  #child: Child | undefined;

  constructor(port: number, monitorPort: number, folder: string) {
    this.url = `nats://127.0.0.1:${port}`;
    this.#port = port;
    this.#monitorPort = monitorPort;
    this.#folder = folder;
  }

  async start(): Promise<void> {
    requireProgram(SERVER, "nats-server");
    const ports = ["-p", String(this.#port), "-m", String(this.#monitorPort)];
    this.#child = new Child(SERVER, ["-a", "127.0.0.1", ...ports, "-js", "-sd", this.#folder]);
    await eventually("NATS answers", async () => (await this.subscriptions()) >= 0 || undefined);
  }

  async kill(): Promise<void> {
    if (this.#child === undefined || this.#child.ended) return;
    this.#child.signal("SIGKILL");
    await this.#child.exit(TIMEOUT_MS);
  }

  /** How many subscriptions its clients have. */
  async subscriptions(): Promise<number> {
    const url = `http://127.0.0.1:${this.#monitorPort}/connz?subs=1`;
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    const body: { readonly connections?: readonly { readonly subscriptions?: number }[] } = JSON.parse(
      await response.text(),
    );
    return (body.connections ?? []).reduce((sum, { subscriptions = 0 }) => sum + subscriptions, 0);
  }
}

export async function startNats(stage: Stage): Promise<NatsProcess> {
  const [port = 0, monitorPort = 0] = await freePorts(2);
  const nats = new NatsProcess(port, monitorPort, await stage.folder());
  stage.atEnd(() => nats.kill());
  await nats.start();
  return nats;
}
