import { Child, requireProgram, run } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { freePorts } from "../../support/ports.ts";
import type { Stage } from "./stage.ts";

const SERVER = "/usr/bin/redis-server";
const CLI = "/usr/bin/redis-cli";
const TIMEOUT_MS = 60_000;

/** A Redis process with a folder of its own, which it finds again when it is started again. */
export class RedisProcess {
  readonly host: string;
  readonly port: number;
  readonly #folder: string;
  readonly #args: readonly string[];
  readonly #namespace: string | undefined;
  #child: Child | undefined;

  constructor(options: {
    readonly host: string;
    readonly port: number;
    readonly folder: string;
    readonly args: readonly string[];
    readonly namespace?: string;
  }) {
    this.host = options.host;
    this.port = options.port;
    this.#folder = options.folder;
    this.#args = options.args;
    this.#namespace = options.namespace;
  }

  async start(): Promise<void> {
    requireProgram(SERVER, "redis-server");
    const options = ["--bind", this.host, "--port", String(this.port), "--dir", this.#folder, "--save", ""];
    const [file = "", ...args] = [...this.#inside, SERVER, ...options, "--protected-mode", "no", ...this.#args];
    this.#child = new Child(file, args);
    await eventually("Redis answers", async () => {
      const answer = await this.command("ping");
      if (answer !== "PONG") throw new Error(`${answer}; it wrote:\n${this.#child?.output}`);
      return true;
    });
  }

  async kill(): Promise<void> {
    if (this.#child === undefined || this.#child.ended) return;
    this.#child.signal("SIGCONT");
    this.#child.signal("SIGKILL");
    await this.#child.exit(TIMEOUT_MS);
  }

  /** Runs a Redis command; resolves to what redis-cli prints. */
  async command(...words: readonly string[]): Promise<string> {
    const [file = "", ...args] = [...this.#inside, CLI, "-h", this.host, "-p", String(this.port), ...words];
    const { stdout, stderr, code } = await run(file, args, { timeoutMs: TIMEOUT_MS });
    if (code !== 0) throw new Error(`redis-cli ${words.join(" ")}: ${stderr || stdout}`);
    return stdout.trim();
  }

  get #inside(): readonly string[] {
    return this.#namespace === undefined ? [] : ["ip", "netns", "exec", this.#namespace];
  }
}

export interface RedisPlace {
  readonly host: string;
  readonly port?: number;
  readonly namespace?: string;
}

export async function startRedis(
  stage: Stage,
  args: readonly string[] = [],
  place: RedisPlace = { host: "127.0.0.1" },
): Promise<RedisProcess> {
  const [free = 0] = await freePorts(1);
  const { host, port = free, namespace } = place;
  const redis = new RedisProcess({
    host,
    port,
    folder: await stage.folder(),
    args,
    ...(namespace === undefined ? {} : { namespace }),
  });
  stage.atEnd(() => redis.kill());
  await redis.start();
  return redis;
}
