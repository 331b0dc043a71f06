import { createHash, timingSafeEqual } from "node:crypto";
import {
  type ChannelCredentials,
  experimental,
  credentials as grpcCredentials,
  Metadata,
  ServerCredentials,
} from "@grpc/grpc-js";

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

/** TLS of a server whose certificate is replaced from time to time. */
export interface ServerTlsSource {
  readonly current: ServerTls;
  /** Told of each change. Returns what ends that. */
  onChange(listener: (tls: ServerTls) => void): () => void;
}

const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));

/** The channel credentials that gRPC wants for a client. */
export function channelCredentials(tls: ClientCredentials["tls"]): ChannelCredentials {
  if (tls === undefined) return grpcCredentials.createInsecure();
  return grpcCredentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
}

/** The server credentials that gRPC wants; plaintext without `tls`. New connections get what a source has then. */
export function serverCredentials(tls: ServerTls | ServerTlsSource | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  if ("current" in tls) {
    const provider = new SourceProvider(tls);
    const { ca } = tls.current;
    // Whatever its parameters are called: the identity comes first.
    return experimental.createCertificateProviderServerCredentials(
      provider,
      ca === undefined ? null : provider,
      ca !== undefined,
    );
  }
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  return ServerCredentials.createSsl(pem(tls.ca), [pair], tls.ca !== undefined);
}

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0];
type IdentityListener = Parameters<CertificateProvider["addIdentityCertificateListener"]>[0];
type CaListener = Parameters<CertificateProvider["addCaCertificateListener"]>[0];

/** Tells gRPC of the certificates of a source. */
class SourceProvider implements CertificateProvider {
  readonly #source: ServerTlsSource;
  readonly #ends = new Map<IdentityListener | CaListener, () => void>();

  constructor(source: ServerTlsSource) {
    this.#source = source;
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#follow(listener, ({ cert, key }) =>
      listener({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) }),
    );
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#ends.get(listener)?.();
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#follow(listener, ({ ca }) => listener(ca === undefined ? null : { caCertificate: Buffer.from(ca) }));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#ends.get(listener)?.();
  }

  #follow(listener: IdentityListener | CaListener, tell: (tls: ServerTls) => void): void {
    this.#ends.set(listener, this.#source.onChange(tell));
    // Not at once: gRPC hears of it only when it has taken the listener.
    queueMicrotask(() => tell(this.#source.current));
  }
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
