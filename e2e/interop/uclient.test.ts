import { beforeAll, expect, test } from "vitest";
import { startEchoPeer } from "../support/echo-peer.ts";
import { type Platform, startPlatform } from "../support/platform.ts";
import { type UclientRun, uclient } from "../support/uclient.ts";

// coturn's own client against our server. It takes one message out of each TLS record and its channel numbers from the
// range of RFC 5766: both are what the server is made to serve.

let platform: Platform;
let echoPort: number;

beforeAll(async () => {
  // The echoing peer is on loopback, which no relay allows by itself.
  platform = await startPlatform({ relay: { peers: { dangerouslyAllow: ["127.0.0.0/8", "::1/128"] } } });
  echoPort = (await startEchoPeer()).port;
});

type Case = Pick<UclientRun, "transport" | "ipv6" | "sendMethod"> & {
  readonly host: "127.0.0.1" | "::1";
  readonly echo: boolean;
};

const CLIENTS = 4;
const MESSAGES = 25;

const cases: readonly Case[] = [
  // Each relayed address is the peer of the other: what a platform allows as it comes.
  ...(["udp", "tcp", "tls"] as const).flatMap((transport) =>
    [false, true].flatMap((sendMethod) => [
      { transport, sendMethod, host: "127.0.0.1" as const, ipv6: false, echo: false },
      { transport, sendMethod, host: "::1" as const, ipv6: true, echo: false },
    ]),
  ),
  { transport: "udp", sendMethod: false, host: "127.0.0.1", ipv6: false, echo: true },
  { transport: "tcp", sendMethod: true, host: "127.0.0.1", ipv6: false, echo: true },
  { transport: "tls", sendMethod: false, host: "127.0.0.1", ipv6: false, echo: true },
  { transport: "udp", sendMethod: false, host: "127.0.0.1", ipv6: true, echo: true },
  { transport: "udp", sendMethod: true, host: "::1", ipv6: false, echo: true },
];

const named = cases.map((item) => {
  const { transport, host, ipv6, sendMethod, echo } = item;
  const family = ipv6 ? "an IPv6 relayed address" : "an IPv4 relayed address";
  const name = `${transport} to ${host}, ${family}, ${sendMethod ? "Send/Data" : "channels"}, ${echo ? "an echoing peer" : "client to client"}`;
  return [name, item] as const;
});

test.concurrent.each(named)("turnutils_uclient over %s: nothing is lost", async (_name, { echo, host, ...item }) => {
  const { port, tlsPort } = platform.ready.turn;
  const report = await uclient({
    ...item,
    host,
    port: item.transport === "tls" ? tlsPort : port,
    account: await platform.issue(),
    clients: CLIENTS,
    messages: MESSAGES,
    ...(echo ? { peer: { host: item.ipv6 ? "::1" : "127.0.0.1", port: echoPort } } : {}),
  });
  const all = CLIENTS * MESSAGES;
  expect(report).toEqual({ sent: all, received: all, lost: 0, dropped: 0 });
});
