import { readLines } from "./lines.ts";
import { type Entry, type Finding, Settings } from "./settings.ts";
import { translateAuth, translatePeers } from "./translate-access.ts";
import { translateLimits, translateOperations, translateRest } from "./translate-limits.ts";
import { translateAddresses, translateListeners } from "./translate-network.ts";

export interface Translation {
  readonly entries: readonly Entry[];
  /** One for each setting of the file, in its order. */
  readonly findings: readonly Finding[];
}

/** Reads a coturn configuration file and says what becomes of each of its lines. */
export function translateCoturn(text: string): Translation {
  const settings = new Settings(readLines(text));
  const stunOnly = settings.flag("stun-only");
  translateListeners(settings);
  translateOperations(settings);
  translateRest(settings);
  if (stunOnly) translateWithoutRelay(settings);
  else {
    translateAddresses(settings);
    translateAuth(settings);
    translatePeers(settings);
    translateLimits(settings);
  }
  return { entries: settings.entries, findings: settings.findings() };
}

type Mapping = Readonly<Record<string, unknown>>;

/** The keys as a configuration file has them: by section, mappings within mappings. */
export function sectionsOf(entries: readonly Entry[]): Mapping {
  return entries.reduce<Mapping>((root, { path, value }) => placed(root, path, value), {});
}

function placed(mapping: Mapping, [key = "", ...rest]: readonly string[], value: unknown): Mapping {
  if (rest.length === 0) return { ...mapping, [key]: value };
  const inner: Mapping = { ...Object(mapping[key]) };
  return { ...mapping, [key]: placed(inner, rest, value) };
}

/** Settings of a relay, where there is none. */
const OF_RELAYS = [
  ...["relay-ip", "external-ip", "min-port", "max-port", "relay-threads", "cpus", "realm", "user", "use-auth-secret"],
  ...["static-auth-secret", "allowed-peer-ip", "denied-peer-ip", "allow-loopback-peers", "user-quota", "total-quota"],
  ...["max-bps", "max-allocate-lifetime", "stale-nonce", "mobility"],
];

function translateWithoutRelay(settings: Settings): void {
  settings.note("unneeded", settings.lines(...OF_RELAYS), "With stun-only nothing is relayed.");
}
