import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestCertificate } from "./certificate.ts";
import { onFreePort } from "./free-port.ts";

export interface RedisServerOptions {
  /** Further words of the command: `--appendonly yes`, `--user ...`, `--replicaof ...`. Nothing is written to disk unless asked. */
  readonly args?: readonly string[];
  /** Lines of a configuration file, which Redis may write to: a Sentinel's. */
  readonly config?: readonly string[];
  /** TLS only, with this certificate; in a group towards the others, too. */
  readonly tls?: TestCertificate;
  /** Who `command` logs in as. */
  readonly login?: RedisLogin;
  /** Default: a free one. */
  readonly port?: number;
}

/** An ACL user. */
export interface RedisLogin {
  readonly username: string;
  readonly password: string;
}

/** A redis-server process on 127.0.0.1: a server, a node of a cluster, or a Sentinel. */
export interface RedisServer {
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** `redis://127.0.0.1:port`, or rediss. */
  readonly url: string;
  /** Runs a command. Resolves to what redis-cli prints. */
  command(...words: readonly string[]): Promise<string>;
  /** Ends the process: by default as a crash does. Its files stay. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on its port and its files. */
  start(): Promise<void>;
  /** Sends it a signal: SIGSTOP, SIGCONT. */
  signal(signal: NodeJS.Signals): void;
  /** Ends the process and removes its files. */
  dispose(): Promise<void>;
}

const START_MS = 30_000;
const READY = /Ready to accept connections|Sentinel ID is/;
const run = promisify(execFile);

/** What a test that breaks off leaves behind. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a real redis-server. Rejects with what it wrote when it does not come up. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "culvert-redis-"));
  let child: ChildProcess | undefined;
  let port = options.port ?? 0;

  const command = async (...words: readonly string[]): Promise<string> => {
    const { stdout } = await run("redis-cli", ["-h", "127.0.0.1", "-p", String(port), ...accessOf(options), ...words]);
    return stdout.trim();
  };
  const start = async (): Promise<void> => {
    child = spawn("redis-server", wordsOf(options, folder, port), { stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    await ready(child);
  };
  const stop = async (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined) return;
    running.delete(ending);
    if (ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = new Promise((resolve) => ending.once("exit", resolve));
    ending.kill("SIGCONT");
    ending.kill(signal);
    await exit;
  };
  const startOn = async (free: number): Promise<void> => {
    // Of an attempt before this one.
    await stop();
    port = free;
    await start();
  };
  const dispose = async (): Promise<void> => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    if (options.port === undefined) await onFreePort(startOn);
    else await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  const address = `127.0.0.1:${port}`;
  return {
    port,
    address,
    url: `${options.tls === undefined ? "redis" : "rediss"}://${address}`,
    command,
    stop,
    start,
    signal: (signal) => void child?.kill(signal),
    dispose,
  };
}

/** How redis-cli gets in. */
export function accessOf({ tls, login }: Pick<RedisServerOptions, "tls" | "login">): readonly string[] {
  return [
    ...(tls === undefined ? [] : ["--tls", "--cacert", tls.certFile]),
    ...(login === undefined ? [] : ["--no-auth-warning", "--user", login.username, "--pass", login.password]),
  ];
}

function wordsOf({ args = [], config, tls }: RedisServerOptions, folder: string, port: number): string[] {
  const words: string[] = [];
  if (config !== undefined) {
    const file = join(folder, "redis.conf");
    writeFileSync(file, `${config.join("\n")}\n`, { flag: "a" });
    words.push(file);
  }
  words.push("--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no");
  if (tls === undefined) words.push("--port", String(port));
  else {
    words.push("--port", "0", "--tls-port", String(port), "--tls-auth-clients", "no");
    words.push("--tls-cert-file", tls.certFile, "--tls-key-file", tls.keyFile, "--tls-ca-cert-file", tls.certFile);
  }
  return [...words, ...args];
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let written = "";
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      reject(new Error(`redis-server ${why}: install the Debian package 'redis-server'?\n${written}`));
    };
    const timer = setTimeout(() => fail(`is not ready after ${START_MS} ms`), START_MS);
    const ended = (code: number | null, signal: NodeJS.Signals | null): void => fail(`ended (${code ?? signal})`);
    child.once("error", (error) => fail(`cannot be started (${error.message})`));
    // Not "exit": what it said last is still to be read then.
    child.once("close", ended);
    // It goes on to write, and is read, when it is ready; others wait for its end then.
    const read = (text: string): void => {
      if (written.length < 65_536) written += text;
      if (!READY.test(written)) return;
      clearTimeout(timer);
      child.off("close", ended);
      resolve();
    };
    child.stdout?.setEncoding("utf8").on("data", read);
    child.stderr?.setEncoding("utf8").on("data", read);
  });
}
