import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { z } from "zod";
import { ConfigError } from "./error.ts";
import { configSchema, loadConfig } from "./load.ts";

/** A service that runs. */
export interface Running {
  /** Stops gracefully. The process ends when it resolves. */
  stop(): Promise<void>;
  /** Called on SIGHUP. Without it SIGHUP ends the process, as the system has it. */
  reload?(): void | Promise<void>;
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

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs one service as a process: `--config FILE` (or CULVERT_CONFIG), `--print-config-schema`, `--help`.
 *
 * SIGTERM and SIGINT stop it gracefully (exit 0), a second signal at once (128 + signal). What the operator got wrong
 * ends it with one line on standard error and exit 2; a rejection or exception that nobody handled with one JSON line
 * and exit 1.
 */
export async function runMain<T>(
  section: string,
  schema: z.ZodType<T>,
  start: (config: Readonly<T>) => Promise<Running>,
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
      const overrides = options.overrides ?? {};
      const config = loadConfig(schema, { section, env: host.env, overrides, ...(file === undefined ? {} : { file }) });
      return () => start(config);
    },
    host,
  );
}

/** The `main` of a service that needs its configuration only. `argv` are the words after the program's name. */
export function serviceMain<T>(
  section: string,
  schema: z.ZodType<T>,
  create: (config: Readonly<T>) => Running & { start(): Promise<unknown> },
): (argv?: readonly string[]) => Promise<void> {
  const start = async (config: Readonly<T>): Promise<Running> => {
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
  prepare: () => (() => Promise<Running>) | undefined,
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
    const running = await start();
    if (running.reload !== undefined) onReloadSignal(host, running.reload.bind(running), fatal);
    await stopRequested;
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

function onReloadSignal(
  host: Host,
  reload: () => void | Promise<void>,
  fatal: (error: unknown, origin: string) => void,
): void {
  host.on("SIGHUP", () => {
    Promise.resolve()
      .then(reload)
      .catch((error: unknown) => fatal(error, "reload"));
  });
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
