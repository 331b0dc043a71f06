import { nodeCrypto } from "@culvert/runtime";
import { familyOf, parseTurnUri, type TurnUri } from "@culvert/stun";
import { type Alternate, Client } from "./client.ts";
import { openFirst, resolveHost } from "./dial.ts";
import { TurnError } from "./errors.ts";
import { LongTermSession } from "./long-term.ts";
import { systemTimers } from "./timers.ts";
import { TI_MS } from "./transactions.ts";
import type { Transport, TransportEvents, TransportKind, TransportOptions } from "./transport.ts";
import type { ConnectOptions, TurnClient } from "./types.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 3;

function kindOf({ scheme, transport }: TurnUri): TransportKind {
  if (scheme === "turn") return transport;
  if (transport === "tcp") return "tls";
  throw new TurnError({ kind: "argument", step: "connect", reason: "turns over UDP (DTLS) is not supported" });
}

function parse(uri: TurnUri | string): TurnUri {
  const parsed = typeof uri === "string" ? parseTurnUri(uri) : uri;
  if (parsed) return parsed;
  throw new TurnError({ kind: "argument", step: "connect", reason: `'${uri}' is not a TURN URI (RFC 7065)` });
}

function sessionOf({ username, password, anonymous = false }: ConnectOptions): LongTermSession | undefined {
  if (username === undefined || password === undefined) return undefined;
  return new LongTermSession({ username, password, anonymous }, nodeCrypto);
}

/**
 * Opens a client's transport to a TURN server: a UDP socket, or a TCP or TLS connection. Over UDP nothing is sent yet.
 *
 * @throws TurnError with step `resolve` or `connect`
 */
export async function connectTurn(options: ConnectOptions): Promise<TurnClient> {
  const uri = parse(options.uri);
  const kind = kindOf(uri);
  const timers = options.timers ?? systemTimers;
  const transportOptions: TransportOptions = {
    tls: options.tls ?? {},
    localAddress: options.localAddress,
    localPort: options.localPort,
    connectTimeoutMs: options.timeoutMs ?? CONNECT_TIMEOUT_MS,
    timers,
  };

  const open = async (events: TransportEvents, alternate?: Alternate): Promise<Transport> => {
    if (alternate) {
      const { address, domain = uri.host } = alternate;
      // The old socket still has the local port. A 5-tuple with another server is a new one in any case.
      const moved = { ...transportOptions, localPort: undefined };
      const family = options.localAddress === undefined ? undefined : familyOf(options.localAddress);
      if (family !== undefined && family !== familyOf(address.ip)) {
        const reason = "the alternate server has the other address family";
        throw new TurnError({ kind: "protocol", step: "connect", reason });
      }
      return openFirst([{ kind, address, host: domain }], moved, events);
    }
    const ips = await resolveHost(uri.host, options.localAddress);
    const endpoints = ips.map((ip) => ({ kind, host: uri.host, address: { ip, port: uri.port } }));
    return openFirst(endpoints, transportOptions, events);
  };

  return Client.open({
    session: sessionOf(options),
    timers,
    timeoutMs: options.timeoutMs ?? TI_MS,
    keepAlive: options.keepAlive ?? false,
    maxRedirects: options.maxRedirects ?? MAX_REDIRECTS,
    open,
  });
}
