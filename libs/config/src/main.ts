import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { z } from "zod";
import { secretFiles } from "./environment.ts";
import { ConfigError, showValue } from "./error.ts";
import { FileWatch } from "./file-watch.ts";
import { configSchema, loadConfig } from "./load.ts";
import { configTree } from "./tree.ts";

/** A service that runs. */
export interface Running<Config = never> {
  /** Stops gracefully. The process ends when it resolves. */
  stop(): Promise<void>;
  /**
   * Called on SIGHUP, and when a file of the configuration has changed: takes over what may change while the service runs,
   * names the rest in one log line, and reads certificates again. `next` is undefined where the configuration cannot be
   * read; the old one stays then.
   */
  reload?(next?: Readonly<Config>): void | Promise<void>;
}

/** What a process does besides running. */
export interface RunningProcess {
  stop(): Promise<void>;
  /** Called on SIGHUP, and when a file of the configuration has changed. Without it SIGHUP does nothing. */
  reload?(): void | Promise<void>;
  /** The files of the configuration, looked at since before they were read. */
  readonly files?: FileWatch;
}

/** What `runMain` needs of the process. */
export interface Host {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  out(text: string): void;
  err(text: string): void;
  on(event: "SIGTERM" | "SIGINT" | "SIGHUP", handler: () => void): void;
  onFatal(handler: (error: unknown, origin: string) => void): void;
  exit(code: number): void;
}

export interface MainOptions {
  /** Command line arguments without the program. Default: those of the process. */
  readonly argv?: readonly string[];
  /** Passed to `loadConfig`. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** Default: the process. */
  readonly host?: Host;
}

const processHost: Host = {
  argv: process.argv.slice(2),
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  on: (event, handler) => void process.on(event, handler),
  onFatal: (handler) => {
    process.on("uncaughtException", (error) => handler(error, "uncaughtException"));
    process.on("unhandledRejection", (reason) => handler(reason, "unhandledRejection"));
  },
  exit: (code) => process.exit(code),
};

/** How often the files of the configuration are looked at, in seconds, unless CULVERT_CONFIG_CHECK_INTERVAL says otherwise. */
const CHECK_INTERVAL = 10;

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs one service as a process: `--config FILE` (or CULVERT_CONFIG), `--print-config-schema`, `--help`.
 *
 * SIGTERM and SIGINT stop it gracefully (exit 0), a second signal at once (128 + signal). SIGHUP, and a change of the file
 * or of a secret's file, have the configuration read again (`Running.reload`). What the operator got wrong
 * ends it with one line on standard error and exit 2; a rejection or exception that nobody handled with one JSON line
 * and exit 1.
 */
export async function runMain<T>(
  section: string,
  schema: z.ZodType<T>,
  start: (config: Readonly<T>) => Promise<Running<T>>,
  options: MainOptions = {},
): Promise<void> {
  const host = options.host ?? processHost;
  await runProcess(
    section,
    () => {
      const flags = parseFlags(options.argv ?? host.argv);
      if (flags.help || flags.printSchema) {
        host.out(flags.help ? usage(section) : `${JSON.stringify(configSchema(schema), null, 2)}\n`);
        return undefined;
      }
      const file = flags.config ?? (host.env.CULVERT_CONFIG || undefined);
      const { env } = host;
      const overrides = options.overrides ?? {};
      const load = (): Readonly<T> =>
        loadConfig(schema, { section, env, overrides, ...(file === undefined ? {} : { file }) });
      const files = new FileWatch([
        ...(file === undefined ? [] : [file]),
        ...secretFiles(section, configTree(schema), env),
      ]);
      const config = load();
      return async () => {
        const running = await start(config);
        return {
          files,
          stop: () => running.stop(),
          reload: () => running.reload?.(reread(section, load, host)),
        };
      };
    },
    host,
  );
}

/** The `main` of a service that needs its configuration only. `argv` are the words after the program's name. */
export function serviceMain<T>(
  section: string,
  schema: z.ZodType<T>,
  create: (config: Readonly<T>) => Running<T> & { start(): Promise<unknown> },
): (argv?: readonly string[]) => Promise<void> {
  const start = async (config: Readonly<T>): Promise<Running<T>> => {
    const service = create(config);
    await service.start();
    return service;
  };
  return (argv = process.argv.slice(2)) => runMain(section, schema, start, { argv });
}

/**
 * The process around one or several services: `prepare` reads the words and the configuration and returns how to start, or
 * nothing when its work is done. Signals, exit codes and errors are as `runMain` has them.
 */
export async function runProcess(
  name: string,
  prepare: () => (() => Promise<RunningProcess>) | undefined,
  host: Host = processHost,
): Promise<void> {
  const fatal = (error: unknown, origin: string): void => {
    host.err(fatalLine(name, error, origin));
    host.exit(1);
  };
  try {
    const start = prepare();
    if (start === undefined) return;
    host.onFatal(fatal);
    const stopRequested = onStopSignal(host);
    const interval = checkInterval(host.env);
    let reload: () => void = () => {};
    // From the first moment on: the system's answer to SIGHUP would be the end of the process.
    host.on("SIGHUP", () => reload());
    const running = await start();
    reload = oneAfterAnother(
      async () => running.reload?.(),
      (error) => fatal(error, "reload"),
    );
    if (interval > 0) running.files?.follow(interval * 1000, reload);
    await stopRequested;
    running.files?.close();
    await running.stop();
    host.exit(0);
  } catch (error) {
    const line = operatorLine(error);
    if (line === undefined) return fatal(error, "main");
    host.err(`${line}\n`);
    host.exit(2);
  }
}

/** Whether this module is the program that node was started with. */
export function isEntryPoint(moduleUrl: string): boolean {
  const program = process.argv[1];
  if (program === undefined) return false;
  try {
    return realpathSync(program) === realpathSync(fileURLToPath(moduleUrl));
  } catch {
    return false;
  }
}

interface Flags {
  readonly config: string | undefined;
  readonly printSchema: boolean;
  readonly help: boolean;
}

function parseFlags(argv: readonly string[]): Flags {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        config: { type: "string", short: "c" },
        "print-config-schema": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return { config: values.config, printSchema: values["print-config-schema"] === true, help: values.help === true };
  } catch (error) {
    throw new ConfigError(
      error instanceof Error ? (error.message.split(". ", 1)[0] ?? "") : "not a valid command line",
    );
  }
}

function usage(section: string): string {
  return [
    `Usage: ${section} [--config FILE] [--print-config-schema]`,
    "",
    "  -c, --config FILE        YAML file; this service reads its section",
    "                           (default: the variable CULVERT_CONFIG, or none)",
    "      --print-config-schema  print the JSON schema of the section and end",
    "  -h, --help               print this and end",
    "",
    `Each key is also a variable: CULVERT_${section.toUpperCase()}_<KEY>.`,
    "",
  ].join("\n");
}

function onStopSignal(host: Host): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      host.on(signal, () => {
        if (stopping) return host.exit(128 + SIGNAL_NUMBERS[signal]);
        stopping = true;
        resolve();
      });
    }
  });
}

/** The configuration as it is now; undefined, with one line, where it cannot be used. */
export function reread<T>(service: string, load: () => T, { err }: Pick<Host, "err"> = processHost): T | undefined {
  try {
    return load();
  } catch (error) {
    const problem = operatorLine(error);
    if (problem === undefined) throw error;
    const line = { level: "error", time: new Date().toISOString(), service, problem };
    err(`${JSON.stringify({ ...line, msg: "configuration not read again; the old one stays" })}\n`);
    return undefined;
  }
}

/** Does a thing as often as it is asked for, but once for all that ask while it is being done. */
function oneAfterAnother(act: () => Promise<void>, onError: (error: unknown) => void): () => void {
  let acting = false;
  let again = false;
  const run = async (): Promise<void> => {
    acting = true;
    do {
      again = false;
      await act().catch(onError);
    } while (again);
    acting = false;
  };
  return () => {
    if (acting) again = true;
    else void run();
  };
}

/** Seconds between looks at the files; 0: they are not looked at. */
function checkInterval(env: NodeJS.ProcessEnv): number {
  const text = env.CULVERT_CONFIG_CHECK_INTERVAL;
  const seconds = text === undefined || text === "" ? CHECK_INTERVAL : Number(text);
  if (seconds >= 0 && seconds <= 86_400) return seconds;
  throw new ConfigError(`CULVERT_CONFIG_CHECK_INTERVAL: ${showValue(text)}: must be 0 to 86400 seconds`);
}

const OPERATOR_ERRORS: ReadonlySet<string> = new Set(["ConfigError", "ListenError"]);

/** One line for an error that the operator can mend: a bad value, or an address that cannot be listened on. */
function operatorLine(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const isListen = "syscall" in error && (error.syscall === "listen" || error.syscall === "bind");
  if (!OPERATOR_ERRORS.has(error.name) && !isListen) return undefined;
  return error.message.replace(/\s*\n\s*/g, " ");
}

function fatalLine(service: string, error: unknown, origin: string): string {
  const err =
    error instanceof Error
      ? { type: error.name, message: error.message, stack: error.stack }
      : { message: String(error) };
  return `${JSON.stringify({ level: "fatal", time: new Date().toISOString(), service, origin, err, msg: "process ends" })}\n`;
}
