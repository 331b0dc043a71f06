import { createSecureContext } from "node:tls";
import type { CertificateLogger } from "./certificate.ts";
import { ConfigError } from "./error.ts";
import { FileWatch } from "./file-watch.ts";
import { type GrpcServerTls, readGrpcServerTls } from "./grpc.ts";

/** How often the files are looked at, in ms. */
const LOOK_MS = 10_000;

export interface GrpcTlsKeeperOptions {
  /** The key that the files stand under, such as `relay.grpc.tls`. */
  readonly prefix: string;
  readonly files: GrpcServerTls;
  readonly logger: CertificateLogger;
  /** Called after each change, and when the files cannot be used any more; what was there before stays then. */
  readonly onReload?: (ok: boolean) => void;
  /** Between two looks at the files. Default 10,000. */
  readonly lookMs?: number;
}

/** Certificate, key and authorities of an internal gRPC server, kept up to date with their files. */
export class GrpcTlsKeeper {
  readonly #options: GrpcTlsKeeperOptions;
  readonly #listeners = new Set<(tls: GrpcServerTls) => void>();
  readonly #watch: FileWatch;
  #current: GrpcServerTls;

  /** Throws a ConfigError when the files cannot be used. */
  constructor(options: GrpcTlsKeeperOptions) {
    const { cert, key, ca } = options.files;
    this.#options = options;
    this.#watch = new FileWatch(ca === undefined ? [cert, key] : [cert, key, ca]);
    this.#current = read(options);
    this.#watch.follow(options.lookMs ?? LOOK_MS, () => this.reload());
  }

  /** PEM texts. */
  get current(): GrpcServerTls {
    return this.#current;
  }

  /** Told of each change. Returns what ends that. */
  onChange(listener: (tls: GrpcServerTls) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads the files again. Does nothing when they say the same. */
  reload(): void {
    const { prefix, logger, onReload } = this.#options;
    try {
      const next = read(this.#options);
      if (JSON.stringify(next) === JSON.stringify(this.#current)) return;
      this.#current = next;
    } catch (error) {
      onReload?.(false);
      logger.error({ problem: error instanceof Error ? error.message : String(error) }, "certificate not reloaded");
      return;
    }
    for (const listener of this.#listeners) listener(this.#current);
    onReload?.(true);
    logger.info(`certificate reloaded: ${prefix}`);
  }

  close(): void {
    this.#watch.close();
  }
}

function read({ prefix, files }: GrpcTlsKeeperOptions): GrpcServerTls {
  const texts = readGrpcServerTls(prefix, files);
  try {
    createSecureContext(texts);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${prefix}: ${files.cert}, ${files.key}: must be a PEM certificate and its key (${cause})`);
  }
  return texts;
}
