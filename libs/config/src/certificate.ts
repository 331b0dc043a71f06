import { X509Certificate } from "node:crypto";
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { createSecureContext } from "node:tls";
import { ConfigError } from "./error.ts";

/** PEM texts. The leaf first, the intermediates after it. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/** Where a certificate is read from. */
export interface CertificateFiles {
  /** PEM file: the certificate, the intermediates after it. */
  readonly cert: string;
  /** PEM file: the private key. */
  readonly key: string;
  /** Seconds between looks at the files. */
  readonly checkInterval: number;
}

/** Reads and checks the two files. Throws a ConfigError that names the key, which starts with `prefix`: `relay.tls`. */
export function readCertificate(prefix: string, files: CertificateFiles): CertificatePair {
  const pair = { cert: readPem(`${prefix}.cert`, files.cert), key: readPem(`${prefix}.key`, files.key) };
  try {
    createSecureContext(pair);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${prefix}: ${files.cert}, ${files.key}: must be a PEM certificate and its key (${cause})`);
  }
  return pair;
}

/** Reads a PEM file. Throws a ConfigError that names the key. */
export function readPem(key: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(`${key}: ${file}: must name a readable PEM file (${code})`);
  }
}

/** The part of a pino logger that is used here. */
export interface CertificateLogger {
  info(message: string): void;
  error(fields: object, message: string): void;
}

export interface CertificateKeeperOptions {
  /** The key that the files stand under, such as `relay.tls`. */
  readonly prefix: string;
  readonly files: CertificateFiles;
  /** Called with each new certificate. */
  readonly onChange: (certificate: CertificatePair) => void;
  /** Called after each change, and when the files cannot be used any more; the old certificate stays then. */
  readonly onReload: (ok: boolean) => void;
  readonly logger: CertificateLogger;
}

/** The certificate of a listener, kept up to date with its files. */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #listener = (): void => this.reload();
  #current: CertificatePair;

  /** Throws a ConfigError when the files cannot be used. */
  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    this.#current = readCertificate(options.prefix, options.files);
  }

  get current(): CertificatePair {
    return this.#current;
  }

  /** When the leaf ends to be valid, in seconds since the Unix epoch. */
  get notAfter(): number {
    return Date.parse(new X509Certificate(this.#current.cert).validTo) / 1000;
  }

  /**
   * Reads the files again whenever one of them was written or replaced. It looks at them instead of waiting for events,
   * since a mounted secret changes by a link of its directory.
   */
  follow(): void {
    const { cert, key, checkInterval } = this.#options.files;
    const interval = Math.ceil(checkInterval * 1000);
    for (const file of [cert, key]) watchFile(file, { interval, persistent: false }, this.#listener);
  }

  /** Reads the files again. Does nothing when they say the same. */
  reload(): void {
    const { prefix, files, onChange, onReload, logger } = this.#options;
    try {
      const next = readCertificate(prefix, files);
      if (next.cert === this.#current.cert && next.key === this.#current.key) return;
      this.#current = next;
    } catch (error) {
      onReload(false);
      logger.error({ problem: error instanceof Error ? error.message : String(error) }, "certificate not reloaded");
      return;
    }
    onChange(this.#current);
    onReload(true);
    logger.info("certificate reloaded");
  }

  close(): void {
    const { cert, key } = this.#options.files;
    for (const file of [cert, key]) unwatchFile(file, this.#listener);
  }
}
