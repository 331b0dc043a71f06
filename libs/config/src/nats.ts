import { readFileSync } from "node:fs";
import { z } from "zod";
import { ConfigError } from "./error.ts";
import { type GrpcClientTls, grpcClientTls, readClientTls } from "./grpc.ts";
import { secret } from "./meta.ts";

/** The key `nats` of a service, checked. What each key means stands in its schema. */
export interface NatsConfig {
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  readonly credentials?: string;
  readonly tls?: GrpcClientTls;
  readonly pingInterval: number;
}

/** The same with what stands in the files. */
export interface NatsAccess extends Omit<NatsConfig, "credentials" | "pingInterval"> {
  /** What stands in the credentials file. */
  readonly credentials?: string;
  readonly pingIntervalMs: number;
}

const SERVER = /^(?:(?:nats|tls):\/\/)?(?:[^\s:/[\]@,]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;

/** The key `nats` of every service that can use NATS. `what` says what goes over it, in a sentence. */
export function natsSection(what: string): z.ZodExactOptional<z.ZodType<NatsConfig>> {
  return z
    .strictObject({
      servers: z
        .array(z.string().regex(SERVER, "must be host:port or nats://host:port, without a user"))
        .min(1)
        .describe("host:port of one or more servers of one NATS cluster. Port 4222 where none is named."),
      user: z.string().min(1).exactOptional().describe("User name, with password."),
      password: secret(z.string().min(1)).exactOptional().describe("Password of the user."),
      token: secret(z.string().min(1)).exactOptional().describe("Token, in place of a user."),
      credentials: z
        .string()
        .min(1)
        .exactOptional()
        .describe("File with a user's JWT and seed (.creds), in place of a user."),
      tls: grpcClientTls(),
      pingInterval: z
        .number()
        .min(0.5)
        .max(60)
        .default(2)
        .describe("Seconds between signs of life. Two that are not answered end the connection."),
    })
    .check(({ value: { user, password, token, credentials }, issues }) => {
      const problem =
        (user === undefined) !== (password === undefined)
          ? { key: user === undefined ? "user" : "password", message: "must be set: user and password go together" }
          : [user, token, credentials].filter((way) => way !== undefined).length > 1
            ? {
                key: token === undefined ? "credentials" : "token",
                message: "must be the only one of user, token and credentials",
              }
            : undefined;
      if (problem === undefined) return;
      issues.push({ code: "custom", input: undefined, path: [problem.key], message: problem.message });
    })
    .exactOptional()
    .describe(`NATS servers. ${what}`);
}

/** Reads the files. Throws a ConfigError that names the key, which starts with `prefix`: `signaling.nats`. */
export function readNatsAccess(prefix: string, config: NatsConfig): NatsAccess {
  const { tls, credentials, pingInterval, ...rest } = config;
  return {
    ...rest,
    pingIntervalMs: pingInterval * 1000,
    ...(tls === undefined ? {} : { tls: readClientTls(`${prefix}.tls`, tls) }),
    ...(credentials === undefined ? {} : { credentials: readCredentials(`${prefix}.credentials`, credentials) }),
  };
}

function readCredentials(key: string, file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(`${key}: ${file}: must name a readable credentials file (${code})`);
  }
  if (/-BEGIN NATS USER JWT-[\s\S]*-BEGIN USER NKEY SEED-/.test(text)) return text;
  throw new ConfigError(`${key}: ${file}: must be a file with a user's JWT and seed, as nsc writes it`);
}
