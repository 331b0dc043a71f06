import { isIP } from "node:net";
import type { Line } from "./lines.ts";
import type { Settings } from "./settings.ts";

export interface Listener {
  readonly transport: "udp" | "tcp" | "tls";
  readonly ip: string;
  readonly port: number;
  /** Of STUN listeners. */
  readonly external?: string;
}

type Endpoint = Omit<Listener, "transport">;

const DEFAULT_PORT = 3478;
const DEFAULT_TLS_PORT = 5349;

/** Listeners, and for STUN alone behaviour discovery. */
export function translateListeners(settings: Settings): void {
  const stun = settings.flag("stun-only");
  const section = stun ? "stun" : "relay";
  const ips = settings.lines("listening-ip").filter((line) => isAddress(settings, line));
  const port = settings.number("listening-port", 1, 65_535) ?? DEFAULT_PORT;
  const external = stun ? externalAddresses(settings) : [];
  const endpoints = (ips.length === 0 ? ["0.0.0.0"] : ips.map(({ value }) => value)).map(
    (ip): Endpoint => ({ ip, port, ...externalKey(external, ip) }),
  );
  const aux = settings.lines("aux-server").flatMap((line) => endpoint(settings, line));
  const second = stun ? secondAddresses(settings, ips) : [];

  const off = ["udp", "tcp"].filter((transport) => settings.flag(`no-${transport}`));
  const on = (["udp", "tcp"] as const).filter((transport) => !off.includes(transport));
  const isSecond = ({ ip }: Endpoint): boolean => second.some(({ value }) => value === ip);
  const listeners = on.flatMap((transport) =>
    // The second address of RFC 5780 serves UDP by itself.
    [...endpoints, ...aux].flatMap((at): Listener[] =>
      transport === "udp" && isSecond(at) ? [] : [{ transport, ...at }],
    ),
  );
  const certificate = certificateLines(settings);
  const tlsPort = certificate.length === 0 ? undefined : settings.number("tls-listening-port", 1, 65_535);
  if (certificate.length > 0) {
    listeners.push(
      ...endpoints.map((at): Listener => ({ transport: "tls", ...at, port: tlsPort ?? DEFAULT_TLS_PORT })),
    );
  }
  const lines = [
    ...settings.lines("stun-only", "listening-ip", "listening-port", "aux-server"),
    ...off.flatMap((transport) => settings.lines(`no-${transport}`)),
    ...(certificate.length > 0 ? settings.lines("tls-listening-port") : []),
    ...external.filter(({ address }) => endpoints.some((at) => at.external === address)).map(({ line }) => line),
  ];
  if (listeners.length === 0) {
    settings.note("bad", lines, "leaves no listener");
  } else if (lines.length > 0 || certificate.length > 0) {
    settings.set(`${section}.listeners`, listeners, lines);
  }
  for (const line of certificate)
    settings.set(`${section}.tls.${line.name === "cert" ? "cert" : "key"}`, line.value, [line]);
  if (stun) translateDiscovery(settings, second, external, port);
}

function isAddress(settings: Settings, line: Line): boolean {
  if (isIP(line.value) !== 0) return true;
  settings.note("bad", [line], "must be an IP address");
  return false;
}

/** `1.2.3.4:5555` or `[2001:db8::4]:5555`. */
function endpoint(settings: Settings, line: Line): Endpoint[] {
  const [, ip = "", port = ""] = /^\[?(.+?)\]?:(\d+)$/.exec(line.value) ?? [];
  if (isIP(ip) !== 0 && Number(port) >= 1 && Number(port) <= 65_535) return [{ ip, port: Number(port) }];
  settings.note("bad", [line], "must be address:port, an IPv6 address in brackets");
  return [];
}

/** The lines of certificate and key; none when there is no TLS, which is then noted of them. */
function certificateLines(settings: Settings): readonly Line[] {
  const off = settings.flag("no-tls");
  const lines = settings.lines("cert", "pkey").filter(({ value }) => value !== "");
  settings.note("unneeded", settings.lines("no-tls"), "There is a TLS listener only where it is configured.");
  if (lines.length === 2 && !off) return lines;
  settings.note("unneeded", lines, off ? "TLS is off." : "TLS takes both cert and pkey.");
  settings.note("unneeded", settings.lines("tls-listening-port"), "There is no TLS.");
  return [];
}

/** The second address of each family: with it coturn does RFC 5780, unless that is switched off. */
function secondAddresses(settings: Settings, ips: readonly Line[]): readonly Line[] {
  if (settings.line("no-rfc5780") !== undefined) return [];
  return ([4, 6] as const).flatMap((family) => ips.filter(({ value }) => isIP(value) === family).slice(1, 2));
}

function translateDiscovery(
  settings: Settings,
  second: readonly Line[],
  external: readonly External[],
  port: number,
): void {
  const lines = settings.lines("alt-listening-port");
  if (second.length === 0) {
    settings.note("unneeded", lines, "RFC 5780 takes two addresses of one family, and no no-rfc5780.");
    return;
  }
  const alternate = settings.number("alt-listening-port", 0, 65_535);
  settings.set("stun.alternate.port", alternate === undefined || alternate === 0 ? port + 1 : alternate, lines);
  const ips = second.map(({ value }) => publicPrivate(external, value));
  settings.set("stun.alternate.ips", ips, second);
}

/** Relayed addresses and ports. */
export function translateAddresses(settings: Settings): void {
  const external = externalAddresses(settings);
  const relay = settings.lines("relay-ip").filter((line) => isAddress(settings, line));
  const listening = settings.lines("listening-ip").filter(({ value }) => isIP(value) !== 0 && !isWildcard(value));
  const own = relay.length > 0 ? relay : external.length > 0 ? listening : [];
  const locals = own.length > 0 ? own.map(({ value }) => value) : external.flatMap(({ local }) => local ?? []);
  const addresses = locals.length > 0 ? locals : external.length > 0 ? ["auto"] : [];
  const used = addresses.flatMap((ip) => externalOf(external, ip) ?? []);
  if (relay.length > 0 || used.length > 0) {
    const text = addresses.map((ip) => publicPrivate(external, ip));
    settings.set("relay.addresses", text, [...relay, ...new Set(used.map(({ line }) => line))]);
  }
  const spare = external.filter((one) => !used.includes(one)).map(({ line }) => line);
  settings.note("unneeded", spare, "None of the relayed addresses is it.");

  for (const end of ["min", "max"]) {
    const port = settings.number(`${end}-port`, 1, 65_535);
    if (port !== undefined) settings.set(`relay.ports.${end}`, port, settings.lines(`${end}-port`));
  }
  const name = settings.line("relay-threads") === undefined ? "cpus" : "relay-threads";
  if (name !== "cpus") settings.note("unneeded", settings.lines("cpus"), "relay-threads says it.");
  const threads = settings.number(name, 0, 256);
  if (threads !== undefined) settings.set("relay.dataPlane.workers", Math.max(1, threads), settings.lines(name));
}

interface External {
  readonly address: string;
  /** Absent: it stands for all addresses of its family. */
  readonly local: string | undefined;
  readonly line: Line;
}

function externalAddresses(settings: Settings): readonly External[] {
  const found: External[] = [];
  for (const line of settings.lines("external-ip")) {
    const [address = "", local, ...rest] = line.value.split("/");
    if (rest.length > 0 || isIP(address) === 0 || (local !== undefined && isIP(local) === 0)) {
      settings.note("bad", [line], "must be public, or public/private");
    } else if (local === undefined && found.some((other) => other.local === undefined)) {
      settings.note("bad", [line], "stands twice without a private address: coturn takes the first");
    } else {
      found.push({ address, local, line });
    }
  }
  return found;
}

function externalOf(external: readonly External[], ip: string): External | undefined {
  const named = external.find(({ local }) => local === ip);
  return (
    named ?? external.find(({ local, address }) => local === undefined && (ip === "auto" || isIP(address) === isIP(ip)))
  );
}

function publicPrivate(external: readonly External[], ip: string): string {
  const found = externalOf(external, ip);
  return found === undefined || found.address === ip ? ip : `${found.address}/${ip}`;
}

function externalKey(external: readonly External[], ip: string): { readonly external?: string } {
  const found = isWildcard(ip) ? undefined : externalOf(external, ip);
  return found === undefined ? {} : { external: found.address };
}

const isWildcard = (ip: string): boolean => ip === "0.0.0.0" || ip === "::";
