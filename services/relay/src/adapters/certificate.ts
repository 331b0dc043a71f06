import { X509Certificate } from "node:crypto";
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { createSecureContext } from "node:tls";
import { ConfigError } from "@culvert/config";
import type { Certificate } from "@culvert/dataplane";
import type { Logger } from "@culvert/telemetry";
import type { TlsConfig } from "../config.ts";

/** Reads and checks the two files. Throws a ConfigError that names the key. */
export function readCertificate(config: TlsConfig): Certificate {
  const certificate = { cert: readPem("cert", config.cert), key: readPem("key", config.key) };
  try {
    createSecureContext(certificate);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`relay.tls: ${config.cert}, ${config.key}: must be a PEM certificate and its key (${cause})`);
  }
  return certificate;
}

function readPem(key: "cert" | "key", file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(`relay.tls.${key}: ${file}: must name a readable PEM file (${code})`);
  }
}

export interface CertificateKeeperOptions {
  readonly config: TlsConfig;
  readonly logger: Logger;
  /** Called with each new certificate. */
  readonly onChange: (certificate: Certificate) => void;
  /** Called for each attempt to read the files again. */
  readonly onReload: (ok: boolean) => void;
}

/** The certificate of the TLS listeners, kept up to date with its files. */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #listener = (): void => this.reload();
  #current: Certificate;

  /** Throws a ConfigError when the files cannot be used. */
  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    this.#current = readCertificate(options.config);
  }

  get current(): Certificate {
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
    const { cert, key, checkInterval } = this.#options.config;
    const interval = Math.ceil(checkInterval * 1000);
    for (const file of [cert, key]) watchFile(file, { interval, persistent: false }, this.#listener);
  }

  /** What cannot be used is logged and left; the old certificate goes on. */
  reload(): void {
    const { config, logger, onChange, onReload } = this.#options;
    try {
      const next = readCertificate(config);
      if (next.cert === this.#current.cert && next.key === this.#current.key) return;
      this.#current = next;
      onChange(next);
    } catch (error) {
      onReload(false);
      logger.error({ reason: error instanceof Error ? error.message : String(error) }, "certificate not reloaded");
      return;
    }
    onReload(true);
    logger.info({ notAfter: new Date(this.notAfter * 1000).toISOString() }, "certificate reloaded");
  }

  close(): void {
    const { cert, key } = this.#options.config;
    for (const file of [cert, key]) unwatchFile(file, this.#listener);
  }
}
