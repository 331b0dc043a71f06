import { createHash, timingSafeEqual } from "node:crypto";
import { type ChannelCredentials, credentials as grpcCredentials, Metadata, ServerCredentials } from "@grpc/grpc-js";

/** How a client proves itself to, and recognises, an internal gRPC server. */
export interface ClientCredentials {
  /** Sent as `authorization: Bearer <token>`. */
  readonly token?: string;
  /** Absent: plaintext. Present but empty: TLS against the system's roots. All values are PEM text. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** PEM text for an internal gRPC server. With `ca`, clients must present a certificate it has signed (mTLS). */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));

/** The channel credentials that gRPC wants for a client. */
export function channelCredentials(tls: ClientCredentials["tls"]): ChannelCredentials {
  if (tls === undefined) return grpcCredentials.createInsecure();
  return grpcCredentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

/** The server credentials that gRPC wants; plaintext without `tls`. */
export function serverCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  return ServerCredentials.createSsl(pem(tls.ca), [pair], tls.ca !== undefined);
}

/** Metadata that carries a shared token. */
export function bearerMetadata(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Whether the metadata carries the token; compares in constant time. */
export function hasBearer(metadata: Metadata, token: string): boolean {
  const [value] = metadata.get("authorization");
  const given = typeof value === "string" ? /^Bearer (.+)$/i.exec(value)?.[1] : undefined;
  return timingSafeEqual(digest(given ?? ""), digest(token)) && given !== undefined;
}

/** Notices a dead peer within 15 s on connections that may be silent for hours. For clients and servers. */
export const KEEPALIVE: {
  readonly "grpc.keepalive_time_ms": number;
  readonly "grpc.keepalive_timeout_ms": number;
  readonly "grpc.keepalive_permit_without_calls": number;
} = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
};
