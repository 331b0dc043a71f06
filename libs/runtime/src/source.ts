import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { formatIp, parseIp } from "@culvert/stun";

/** The address that a connection comes from, behind the proxies that are trusted. */
export class Sources {
  readonly #trusted: BlockList = new BlockList();

  /** @param trustedProxies addresses and ranges, such as 10.0.0.0/8 */
  constructor(trustedProxies: readonly string[]) {
    for (const range of trustedProxies) {
      const [ip = "", length] = range.split("/");
      const family = isIP(ip) === 6 ? "ipv6" : "ipv4";
      if (length === undefined) this.#trusted.addAddress(ip, family);
      else this.#trusted.addSubnet(ip, Number(length), family);
    }
  }

  isTrusted(ip: string): boolean {
    const version = isIP(ip);
    return version !== 0 && this.#trusted.check(ip, version === 6 ? "ipv6" : "ipv4");
  }

  /** The last address in X-Forwarded-For that no trusted proxy has, if the connection comes from one. */
  of(request: IncomingMessage): string {
    let ip = plainAddress(request.socket.remoteAddress ?? "");
    const header = request.headers["x-forwarded-for"];
    const hops = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",").map((hop) => hop.trim());
    while (this.isTrusted(ip)) {
      const hop = plainAddress(hops.pop() ?? "");
      if (isIP(hop) === 0) break;
      ip = hop;
    }
    return ip;
  }
}

/** An IPv4-mapped IPv6 address as the IPv4 address that it is. */
export function plainAddress(ip: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip;
}

/** What a limit per source counts by: an IPv4 address, or the /64 of an IPv6 address. Other text stands for itself. */
export function sourceKey(ip: string): string {
  const bytes = parseIp(ip.replace(/%.*$/, ""));
  if (bytes === undefined) return ip;
  if (bytes.length === 4) return formatIp(bytes);
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped ? formatIp(bytes.subarray(12)) : `${formatIp(bytes.map((byte, at) => (at < 8 ? byte : 0)))}/64`;
}

/** Counts what is open, by source. */
export class SourceCounter {
  readonly #max: number;
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** False, and nothing counted, if the source has as many as it may. */
  add(source: string): boolean {
    const count = this.#counts.get(source) ?? 0;
    if (count >= this.#max) return false;
    this.#counts.set(source, count + 1);
    return true;
  }

  remove(source: string): void {
    const count = this.#counts.get(source) ?? 0;
    if (count <= 1) this.#counts.delete(source);
    else this.#counts.set(source, count - 1);
  }
}
