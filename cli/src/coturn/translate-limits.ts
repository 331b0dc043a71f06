import { isIP } from "node:net";
import type { Settings } from "./settings.ts";

const DAY = 86_400;
/** `relay.lifetime.default`. */
const DEFAULT_LIFETIME = 600;
const DEFAULT_NONCE_LIFETIME = 600;

/** Options with a number that becomes a key as it is; 0 is no limit, which is the default. */
const QUOTAS = {
  "user-quota": "relay.quotas.user",
  "total-quota": "relay.quotas.total",
  "max-bps": "relay.limits.maxBps",
};

/** Quotas, lifetimes, mobility. */
export function translateLimits(settings: Settings): void {
  for (const [name, key] of Object.entries(QUOTAS)) {
    const value = settings.number(name, 0, Number.MAX_SAFE_INTEGER);
    if (value === 0) settings.note("unneeded", settings.lines(name), "0 is no limit, which is the default.");
    else if (value !== undefined) settings.set(key, value, settings.lines(name));
  }
  const lifetime = seconds(settings, "max-allocate-lifetime");
  if (lifetime !== undefined) {
    const lines = settings.lines("max-allocate-lifetime");
    if (lifetime < DEFAULT_LIFETIME) settings.set("relay.lifetime.default", lifetime, lines);
    settings.set("relay.lifetime.max", lifetime, lines);
  }
  translateNonce(settings);
  if (settings.flag("mobility")) settings.set("relay.mobility", "allowed", settings.lines("mobility"));
}

function seconds(settings: Settings, name: string): number | undefined {
  if (settings.line(name)?.value === "") {
    settings.note("unneeded", settings.lines(name), "Without a value it is coturn's default.");
    return undefined;
  }
  return settings.number(name, 1, DAY);
}

function translateNonce(settings: Settings): void {
  const line = settings.line("stale-nonce");
  if (line === undefined) return;
  const value = line.value === "" ? DEFAULT_NONCE_LIFETIME : settings.number("stale-nonce", 0, Number.MAX_SAFE_INTEGER);
  if (value === undefined) return;
  settings.set("relay.auth.nonceLifetime", value === 0 ? DAY : Math.min(DAY, Math.max(30, value)), [line]);
}

/** Logs and metrics. */
export function translateOperations(settings: Settings): void {
  const section = settings.flag("stun-only") ? "stun" : "relay";
  const [extra, some] = [settings.flag("Verbose"), settings.flag("verbose")];
  if (extra || some) {
    settings.set(`${section}.logLevel`, extra ? "trace" : "debug", settings.lines(extra ? "Verbose" : "verbose"));
  }
  if (extra) settings.note("unneeded", settings.lines("verbose"), "Verbose says more.");
  const address = settings.line("prometheus-address");
  if (address !== undefined && isIP(address.value) === 0) settings.note("bad", [address], "must be an IP address");
  const lines = settings.lines("prometheus", "prometheus-address");
  if (lines.length > 0) {
    settings.set(`${section}.ops.host`, settings.line("prometheus-address")?.value ?? "0.0.0.0", lines);
  }
  const port = settings.number("prometheus-port", 1, 65_535);
  if (port !== undefined) settings.set(`${section}.ops.port`, port, settings.lines("prometheus-port"));
}

const OFF = "It is off.";
/** Switches without an equivalent, which lose nothing where they are off. */
const SWITCHES = [
  "no-auth",
  "oauth",
  "no-udp-relay",
  "server-relay",
  "no-stun",
  "secure-stun",
  "software-attribute",
  "no-tlsv1_2",
  "raw-public-keys",
  "log-binding",
  "web-admin",
  "web-admin-listen-on-workers",
  "keep-address-family",
];

/** What has no equivalent, as far as it asks for nothing but what is there. */
export function translateRest(settings: Settings): void {
  for (const name of SWITCHES) if (!settings.flag(name)) settings.note("unneeded", settings.lines(name), OFF);
  if (settings.line("oauth") === undefined)
    settings.note("unneeded", settings.lines("server-name"), "There is no oauth.");
  if (settings.number("bps-capacity", 0, Number.MAX_SAFE_INTEGER) === 0) {
    settings.note("unneeded", settings.lines("bps-capacity"), "0 is no limit.");
  }
  for (const [name, fixed] of Object.entries({ "channel-lifetime": "600", "permission-lifetime": "300" })) {
    const line = settings.line(name);
    if (line?.value === fixed || line?.value === "") settings.note("unneeded", [line], `It is ${fixed} seconds.`);
  }
  const family = settings.line("allocation-default-address-family");
  if (family?.value === "ipv4") settings.note("unneeded", [family], "It is so by default.");
  const separator = settings.line("rest-api-separator");
  if (separator?.value === ":") settings.note("unneeded", [separator], "It is so by default.");
  const ciphers = settings.line("cipher-list");
  if (ciphers?.value === "DEFAULT") settings.note("unneeded", [ciphers], "Node.js's default list is used.");
}
