import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";

export interface ChildOptions {
  readonly cwd?: string;
  /** Replaces the environment but for PATH, HOME and TMPDIR. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** For a process that hangs. */
const STOP_TIMEOUT_MS = 60_000;

/** A process that the tests started, with what it wrote. It is stopped by its own id. */
export class Child {
  readonly command: string;
  readonly #process: ChildProcess;
  readonly #exit: Promise<Exit>;
  #ended: Exit | undefined;
  #stdout = "";
  #stderr = "";
  readonly #onOutput = new Set<() => void>();

  constructor(file: string, args: readonly string[], options: ChildOptions = {}) {
    this.command = [file, ...args].join(" ");
    const { PATH = "", HOME = "", TMPDIR = tmpdir() } = process.env;
    this.#process = spawn(file, args, {
      cwd: options.cwd,
      env: { PATH, HOME, TMPDIR, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      this.#notify();
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
      this.#notify();
    });
    this.#exit = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#ended ??= exit;
        this.#notify();
        resolve(this.#ended);
      };
      this.#process.once("error", (error) => {
        this.#stderr += `${error.message}\n`;
        end({ code: null, signal: null });
      });
      this.#process.once("close", (code, signal) => end({ code, signal }));
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get output(): string {
    return `${this.#stdout}${this.#stderr}`;
  }

  /** Undefined while it runs. */
  get ended(): Exit | undefined {
    return this.#ended;
  }

  /** Resolves when `ready` returns something for what was written so far. Fails when the process ends, or after `timeoutMs`. */
  async until<T>(what: string, ready: (child: Child) => T | undefined, timeoutMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        clearInterval(poll);
        this.#onOutput.delete(look);
      };
      const fail = (why: string): void => {
        finish();
        reject(new Error(`${this.command}: ${why} before ${what}; it wrote:\n${this.output}`));
      };
      const look = (): void => {
        const result = ready(this);
        if (result !== undefined) {
          finish();
          resolve(result);
        } else if (this.#ended) fail(`ended (${this.#ended.code ?? this.#ended.signal})`);
      };
      const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
      const poll = setInterval(look, 100);
      this.#onOutput.add(look);
      look();
    });
  }

  /** Waits for the end. After `timeoutMs` the process is killed and the wait fails. */
  async exit(timeoutMs: number): Promise<Exit> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    const exit = await Promise.race([this.#exit, late]);
    clearTimeout(timer);
    if (exit) return exit;
    this.#process.kill("SIGKILL");
    await this.#exit;
    throw new Error(`${this.command}: still ran after ${timeoutMs} ms and was killed; it wrote:\n${this.output}`);
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#process.kill(signal);
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.signal(signal);
    return this.exit(STOP_TIMEOUT_MS);
  }

  #notify(): void {
    for (const look of [...this.#onOutput]) look();
  }
}

/** Runs a command to its end. */
export async function run(
  file: string,
  args: readonly string[],
  options: ChildOptions & { readonly timeoutMs: number },
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = new Child(file, args, options);
  const { code } = await child.exit(options.timeoutMs);
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** Fails with the name of the package when a program of the system is missing. */
export function requireProgram(path: string, debianPackage: string): string {
  if (existsSync(path)) return path;
  throw new Error(
    `${path} is missing: install the Debian package '${debianPackage}' (make test does, when run as root)`,
  );
}
