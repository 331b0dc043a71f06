import { Method } from "@culvert/stun";
import { type ConnectOptions, connectTurn, type TurnClient, TurnError } from "@culvert/turn-client";
import { afterEach, beforeAll, expect, test } from "vitest";
import { type Coturn, startCoturn } from "../support/coturn.ts";

// Our client against a foreign server: what it says on the wire is not only what our own server happens to accept.

let coturn: Coturn;
const clients: TurnClient[] = [];

beforeAll(async () => {
  coturn = await startCoturn();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

async function connect(uri: string, options: Partial<ConnectOptions> = {}): Promise<TurnClient> {
  const { account, certificate } = coturn;
  const client = await connectTurn({ uri, ...account, tls: { ca: certificate }, timeoutMs: 30_000, ...options });
  clients.push(client);
  return client;
}

const arrival = (client: TurnClient): Promise<{ text: string; via: string }> =>
  new Promise((resolve) => {
    const stop = client.onData((_peer, data, via) => {
      stop();
      resolve({ text: Buffer.from(data).toString(), via });
    });
  });

const uris: readonly [string, () => string][] = [
  ["UDP", () => `turn:127.0.0.1:${coturn.port}`],
  ["UDP over IPv6", () => `turn:[::1]:${coturn.port}`],
  ["TCP", () => `turn:127.0.0.1:${coturn.port}?transport=tcp`],
  ["TCP over IPv6", () => `turn:[::1]:${coturn.port}?transport=tcp`],
  ["TLS", () => `turns:127.0.0.1:${coturn.tlsPort}`],
  ["TLS by name", () => `turns:localhost:${coturn.tlsPort}`],
];

test.each(uris)(
  "over %s data goes through the relay both ways, with Send/Data and with channels",
  async (_name, uri) => {
    const [a, b] = [await connect(uri()), await connect(uri())];
    expect(await a.binding()).toEqual(a.local);
    const [ours, theirs] = [await a.allocate(), await b.allocate({ lifetime: 777 })];
    expect(theirs.lifetime).toBe(777);
    await a.createPermission([theirs.relayed.ip]);
    await b.createPermission([ours.relayed.ip]);

    let next = arrival(b);
    a.send(theirs.relayed, Buffer.from("there"));
    expect(await next).toEqual({ text: "there", via: "data" });
    expect(await a.channelBind(theirs.relayed)).toBe(0x4000);
    next = arrival(a);
    b.send(ours.relayed, Buffer.from("and back"));
    expect(await next).toEqual({ text: "and back", via: "channel" });
    next = arrival(b);
    a.send(theirs.relayed, Buffer.from("again"));
    expect(await next).toEqual({ text: "again", via: "data" });
    expect(await a.refresh(0)).toBe(0);
  },
);

test("IPv6, an even port and its reservation are allocated as asked", async () => {
  const [, uri] = uris[0] ?? ["", () => ""];
  const six = await (await connect(uri())).allocate({ family: 6 });
  expect(six.relayed.ip).toBe("::1");
  const even = await (await connect(uri())).allocate({ evenPort: { reserveNext: true } });
  expect(even.relayed.port % 2).toBe(0);
  const next = await (await connect(uri())).allocate({ reservationToken: even.reservationToken });
  expect(next.relayed.port).toBe(even.relayed.port + 1);
});

test("errors carry code, reason and step", async () => {
  const uri = `turn:127.0.0.1:${coturn.port}`;
  const wrong = await connect(uri, { password: "wrong" });
  const failure = await wrong.allocate().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(TurnError);
  expect(failure).toMatchObject({ code: 401, step: "Allocate" });

  const client = await connect(uri);
  await expect(client.refresh()).rejects.toMatchObject({ code: 437, step: "Refresh" });
  await client.allocate();
  await expect(client.channelBind({ ip: "127.0.0.1", port: 9 }, 0x8000)).rejects.toMatchObject({
    code: 400,
    step: "ChannelBind",
  });
});

test("a stale nonce is replaced by the new one", async () => {
  const client = await connect(`turn:127.0.0.1:${coturn.port}`);
  await client.allocate();
  const stale = client.request(Method.Refresh, [], { nonce: "0123456789abcdef", retry: false });
  await expect(stale).rejects.toMatchObject({ code: 438, step: "Refresh" });
  expect(await client.refresh()).toBeGreaterThan(0);
});
