import { formatStunUri, formatTurnUri } from "@culvert/stun";

interface Listener {
  readonly transport: "udp" | "tcp" | "tls";
  readonly ip: string;
  readonly port: number;
}

/** What clients are told, in the order of preference. */
export interface PlatformUris {
  readonly stun: readonly string[];
  readonly turn: readonly string[];
}

const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
const PREFERENCE: readonly Listener["transport"][] = ["udp", "tcp", "tls"];

/**
 * The URIs of the listeners that serve `host`: those bound to it and those bound to all addresses. One of each transport
 * is enough for a client, the first counts.
 */
export function urisOf(listeners: readonly Listener[], host: string): PlatformUris {
  const serving = listeners.filter(({ ip }) => ip === host || WILDCARDS.has(ip));
  const one = (transport: Listener["transport"]) => serving.find((listener) => listener.transport === transport);
  const udp = one("udp");
  const turn = PREFERENCE.map(one).filter((listener) => listener !== undefined);
  return {
    stun: udp === undefined ? [] : [formatStunUri({ scheme: "stun", host, port: udp.port })],
    turn: turn.map(({ transport, port }) =>
      transport === "tls"
        ? formatTurnUri({ scheme: "turns", host, port, transport: "tcp" })
        : formatTurnUri({ scheme: "turn", host, port, transport }),
    ),
  };
}

/** Under which address clients reach the platform: the one told, or that of the first listener that is bound to one. */
export function publicHost(listeners: readonly Listener[], told: string | undefined, fallback: string): string {
  return told ?? listeners.find(({ ip }) => !WILDCARDS.has(ip))?.ip ?? fallback;
}
