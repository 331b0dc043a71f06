import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onFreePort } from "./free-port.ts";

export interface NatsServerOptions {
  /** Whether it has JetStream, on files of its own. Default: false. */
  readonly jetStream?: boolean;
  /** Further words of the command: `--user`, `--tls`, `--config`, ... */
  readonly args?: readonly string[];
  /** Default: a free one. */
  readonly port?: number;
}

/** A nats-server process on 127.0.0.1. */
export interface NatsServer {
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly server: string;
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
const LISTENING = /Listening for client connections on [^\n]*:(\d+)/;

/** What a test that breaks off leaves behind. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a real nats-server. Rejects with what it wrote when it does not come up. */
export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), "culvert-nats-"));
  const fixed = ["--addr", "127.0.0.1", ...(options.args ?? [])];
  if (options.jetStream === true) fixed.push("--jetstream", "--store_dir", folder);
  let child: ChildProcess | undefined;
  let port = options.port ?? 0;

  const start = async (): Promise<void> => {
    child = spawn("nats-server", [...fixed, "--port", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
    running.add(child);
    port = await listening(child);
  };
  const stop = async (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined) return;
    running.delete(ending);
    if (ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = new Promise((resolve) => ending.once("exit", resolve));
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
  return { port, server: `127.0.0.1:${port}`, stop, start, signal: (signal) => void child?.kill(signal), dispose };
}

/** The port of a server that is ready. */
function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let written = "";
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      reject(new Error(`nats-server ${why}: install the Debian package 'nats-server'?\n${written}`));
    };
    const timer = setTimeout(() => fail(`is not ready after ${START_MS} ms`), START_MS);
    const ended = (code: number | null, signal: NodeJS.Signals | null): void => fail(`ended (${code ?? signal})`);
    child.once("error", (error) => fail(`cannot be started (${error.message})`));
    // Not "exit": what it said last is still to be read then.
    child.once("close", ended);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (written.length < 65_536) written += text;
      const port = Number(LISTENING.exec(written)?.[1]);
      if (!Number.isInteger(port) || !written.includes("Server is ready")) return;
      clearTimeout(timer);
      child.off("close", ended);
      resolve(port);
    });
  });
}
