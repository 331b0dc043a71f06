import { parseArgs } from "node:util";
import { ConfigError, ipAddress } from "@culvert/config";

export interface Options {
  readonly config: string | undefined;
  readonly readyFile: string | undefined;
  /** The address of this host that everything listens on, unless the configuration says otherwise. */
  readonly host: string;
  readonly printSchema: boolean;
  readonly help: boolean;
}

export const USAGE: string = `Usage: culvert up [--config FILE] [--host IP] [--ready-file FILE] [--print-config-schema]

  -c, --config FILE          YAML file with the sections relay, stun, credential, signaling
                             (default: the variable CULVERT_CONFIG, or none)
      --host IP              address of this host to serve (default 127.0.0.1)
      --ready-file FILE      write addresses, token and iceServers there once it serves
      --print-config-schema  print the JSON schema of the configuration file and end
  -h, --help                 print this and end

Each key is also a variable: CULVERT_<SECTION>_<KEY>.
`;

/** Throws a ConfigError for words that are not options. */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Options {
  const values = parse(argv);
  const host = values.host ?? "127.0.0.1";
  if (!ipAddress().safeParse(host).success || host === "0.0.0.0" || host === "::") {
    throw new ConfigError(`--host: ${host}: must be one IP address of this host`);
  }
  return {
    config: values.config ?? (env.CULVERT_CONFIG || undefined),
    readyFile: values["ready-file"],
    host,
    printSchema: values["print-config-schema"] === true,
    help: values.help === true,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        config: { type: "string", short: "c" },
        host: { type: "string" },
        "ready-file": { type: "string" },
        "print-config-schema": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new ConfigError(
      error instanceof Error ? (error.message.split(". ", 1)[0] ?? "") : "not a valid command line",
    );
  }
}
