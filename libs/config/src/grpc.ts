import { z } from "zod";
import { readPem } from "./certificate.ts";
import { grpcTarget, sharedToken } from "./fields.ts";

/** TLS to an internal gRPC server. Names of PEM files, or what stands in them. */
export interface GrpcClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** How a client of an internal gRPC server proves itself and recognises the server. */
export interface GrpcCredentials {
  readonly token?: string;
  readonly tls?: GrpcClientTls;
}

/** The credential service that a service follows. */
export interface CredentialConfig extends GrpcCredentials {
  readonly target?: string;
}

/** TLS of an internal gRPC server. Names of PEM files, or what stands in them. With `ca`, clients need a certificate. */
export interface GrpcServerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** The key `tls` of a client of an internal gRPC server. */
export function grpcClientTls(): z.ZodExactOptional<z.ZodType<GrpcClientTls>> {
  return z
    .strictObject({
      ca: z.string().exactOptional().describe("PEM file with the authorities to trust; otherwise the system's."),
      cert: z.string().exactOptional().describe("PEM file of the client certificate, for mTLS."),
      key: z.string().exactOptional().describe("PEM file of the client certificate's key."),
    })
    .exactOptional()
    .describe("TLS to the server; plaintext when absent, the system's authorities when empty.");
}

/** The key `tls` of an internal gRPC server. `clients` are who connects, in words. */
export function grpcServerTls(clients: string): z.ZodExactOptional<z.ZodType<GrpcServerTls>> {
  return z
    .strictObject({
      cert: z.string().describe("PEM file: the certificate, the intermediates after it."),
      key: z.string().describe("PEM file: the private key."),
      ca: z
        .string()
        .exactOptional()
        .describe(`PEM file with the authorities that ${clients}' certificates must be of (mTLS).`),
    })
    .exactOptional();
}

/** The key `credential` of every service that follows a credential service. `keys` is what comes from there, in words. */
export function credentialSection(keys: string): z.ZodType<CredentialConfig> {
  return z
    .strictObject({
      target: grpcTarget()
        .exactOptional()
        .describe(`host:port of the credential service's gRPC listener. ${keys} come from there.`),
      token: sharedToken().exactOptional().describe("Token shared with the credential service."),
      tls: grpcClientTls(),
    })
    .prefault({})
    .describe("The credential service that is followed.");
}

/** Reads the files. Throws a ConfigError that names the key, which starts with `prefix`: `relay.credential`. */
export function readGrpcCredentials(prefix: string, { token, tls }: GrpcCredentials): GrpcCredentials {
  return {
    ...(token === undefined ? {} : { token }),
    ...(tls === undefined ? {} : { tls: readClientTls(`${prefix}.tls`, tls) }),
  };
}

/**
 * How a client of an internal gRPC server proves itself from one connection to the next: files are read anew for each, so
 * that a certificate that was replaced is used. What cannot be read leaves what was read before.
 */
export class GrpcProof {
  readonly #prefix: string;
  readonly #onProblem: (problem: string) => void;
  #config: GrpcCredentials;
  #current: GrpcCredentials;

  /** @throws ConfigError that names the key, which starts with `prefix`: `relay.credential` */
  constructor(prefix: string, config: GrpcCredentials, onProblem: (problem: string) => void) {
    this.#prefix = prefix;
    this.#onProblem = onProblem;
    this.#config = config;
    this.#current = readGrpcCredentials(prefix, config);
  }

  /** For the next connection. */
  read(): GrpcCredentials {
    try {
      this.#current = readGrpcCredentials(this.#prefix, this.#config);
    } catch (error) {
      this.#onProblem(error instanceof Error ? error.message : String(error));
    }
    return this.#current;
  }

  /** Takes another token, and other files, from the next connection on. */
  set(config: GrpcCredentials): void {
    this.#config = config;
  }
}

/** Reads the files. Throws a ConfigError that names the key, which starts with `prefix`: `relay.credential.tls`. */
export function readClientTls(prefix: string, files: GrpcClientTls): GrpcClientTls {
  const texts: { -readonly [Name in keyof GrpcClientTls]: GrpcClientTls[Name] } = {};
  for (const name of ["ca", "cert", "key"] as const) {
    const file = files[name];
    if (file !== undefined) texts[name] = readPem(`${prefix}.${name}`, file);
  }
  return texts;
}

/** Reads the files. Throws a ConfigError that names the key, which starts with `prefix`: `credential.grpc.tls`. */
export function readGrpcServerTls(prefix: string, { cert, key, ca }: GrpcServerTls): GrpcServerTls {
  return {
    cert: readPem(`${prefix}.cert`, cert),
    key: readPem(`${prefix}.key`, key),
    ...(ca === undefined ? {} : { ca: readPem(`${prefix}.ca`, ca) }),
  };
}
