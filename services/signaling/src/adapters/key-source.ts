import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { ConfigError } from "@culvert/config";
import { watchKeys } from "@culvert/contracts";
import type { KeyChange, KeySnapshot } from "@culvert/credentials";
import type { Logger } from "@culvert/telemetry";
import type { CredentialConfig } from "../config.ts";

/** Where signing keys and revocations come from: a credential service, over the wire or in the same process. */
export interface KeySource {
  /** Calls the sink until the watch is closed: a snapshot first, then changes; a new snapshot after a gap. */
  watch(sink: KeySink): KeyWatch;
}

export interface KeySink {
  onSnapshot(snapshot: KeySnapshot): void;
  onChange(change: KeyChange): void;
}

export interface KeyWatch {
  /** Whether the keys are known to be current. */
  connected(): boolean;
  close(): void;
}

/** Follows `KeyService.WatchKeys` of a credential service. Throws a ConfigError for a PEM file that cannot be read. */
export function grpcKeySource(config: CredentialConfig & { readonly target: string }, logger: Logger): KeySource {
  const { token, tls } = config;
  const credentials = {
    ...(token === undefined ? {} : { token }),
    ...(tls === undefined ? {} : { tls: readPemFiles(tls) }),
  };
  return {
    watch: (sink) =>
      watchKeys({
        target: config.target,
        watcher: `signaling ${hostname()}`,
        credentials,
        logger,
        onSnapshot: (snapshot) => sink.onSnapshot(snapshot),
        onChange: (change) => sink.onChange(change),
      }),
  };
}

type PemFiles = NonNullable<CredentialConfig["tls"]>;

function readPemFiles(files: PemFiles): PemFiles {
  const texts: { -readonly [Name in keyof PemFiles]: PemFiles[Name] } = {};
  for (const name of ["ca", "cert", "key"] as const) {
    const file = files[name];
    if (file === undefined) continue;
    try {
      texts[name] = readFileSync(file, "utf8");
    } catch {
      throw new ConfigError(`signaling.credential.tls.${name}: ${file}: must name a readable PEM file`);
    }
  }
  return texts;
}
