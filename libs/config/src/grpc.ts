import { readPem } from "./certificate.ts";

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

/** TLS of an internal gRPC server. Names of PEM files, or what stands in them. With `ca`, clients need a certificate. */
export interface GrpcServerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** Reads the files. Throws a ConfigError that names the key, which starts with `prefix`: `relay.credential`. */
export function readGrpcCredentials(prefix: string, { token, tls }: GrpcCredentials): GrpcCredentials {
  return {
    ...(token === undefined ? {} : { token }),
    ...(tls === undefined ? {} : { tls: readClientTls(`${prefix}.tls`, tls) }),
  };
}

function readClientTls(prefix: string, files: GrpcClientTls): GrpcClientTls {
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
