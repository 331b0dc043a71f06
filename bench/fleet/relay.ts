import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Running, startPinned } from "../processes.ts";
import { freePort, freeTcpPort, HOST, ours, type Server, type ServerSpec } from "../servers.ts";
import type { FleetContext } from "./case.ts";

const READY_MS = 30_000;
const POLL_MS = 50;

export interface RelayOptions {
  /** What the report calls it. */
  readonly label: string;
  readonly identity?: string;
  /** In a fleet; without it a relay on its own. */
  readonly fleet?: {
    readonly redisPort: number;
    /** `host:port`. */
    readonly nats: string;
    /** Seconds between usage events, and between writes of what was carried. */
    readonly usageInterval?: number;
  };
  /** Relayed ports. */
  readonly ports?: { readonly min: number; readonly max: number };
  /** Of the listener. */
  readonly frontend?: string;
}

/** One of our relays on the servers' core, which can be started again after it has died. */
export class BenchRelay {
  readonly spec: ServerSpec;
  readonly #context: FleetContext;
  readonly #port: number;
  readonly #opsPort: number;
  readonly #command: readonly string[];
  #running: Running;

  static async start(context: FleetContext, options: RelayOptions): Promise<BenchRelay> {
    const relay = new BenchRelay(context, options, await freePort(), await freeTcpPort(), await freePort());
    await relay.ready();
    return relay;
  }

  private constructor(context: FleetContext, options: RelayOptions, port: number, opsPort: number, meshPort: number) {
    this.#context = context;
    this.#port = port;
    this.#opsPort = opsPort;
    this.spec = ours(context.commit, {
      opsPort,
      label: options.label,
      section: () => sectionOf(options, port, meshPort),
    });
    this.#command = this.spec.command(port, mkdtempSync(join(context.directory, "relay-")));
    this.#running = this.#launch();
  }

  /** It as the generator knows it, while it runs. */
  get server(): Server {
    return { ...this.#running, spec: this.spec, address: `${HOST}:${this.#port}` };
  }

  /** Starts it again, at once. */
  relaunch(): void {
    this.#running = this.#launch();
  }

  /** Waits until it serves. Resolves to the milliseconds that this took. */
  async ready(): Promise<number> {
    const start = performance.now();
    const running = this.#running;
    let ended = false;
    void running.ended.then(() => {
      ended = true;
    });
    while (!(await this.#isReady())) {
      this.#context.signal.throwIfAborted();
      if (ended || performance.now() - start > READY_MS) {
        await running.stop();
        throw new Error(`${this.spec.name} (${this.spec.version}) is not ready: ${running.output()}`);
      }
      await delay(POLL_MS);
    }
    return performance.now() - start;
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }

  #launch(): Running {
    return startPinned([this.#context.cores.server], this.#command, { NODE_ENV: "production" });
  }

  async #isReady(): Promise<boolean> {
    const url = `http://${HOST}:${this.#opsPort}/healthz/ready`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    await answer?.text();
    return answer?.status === 200;
  }
}

function sectionOf(
  { identity = "relay-0", fleet, ports, frontend }: RelayOptions,
  port: number,
  meshPort: number,
): object {
  const listener = { transport: "udp", ip: HOST, port };
  return {
    ...(ports && { ports }),
    ...(frontend !== undefined && { listeners: [{ ...listener, frontend }] }),
    ...(fleet && {
      fleet: {
        identity,
        secrets: ["what the relays of a fleet share in the benchmarks"],
        redis: { url: `redis://${HOST}:${fleet.redisPort}` },
        nats: { servers: [fleet.nats] },
        mesh: { ip: HOST, port: meshPort },
        ...(fleet.usageInterval !== undefined && { usage: { interval: fleet.usageInterval } }),
      },
    }),
  };
}
