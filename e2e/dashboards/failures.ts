import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Attr, attribute, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { type ConnectOptions, connectTurn, type TurnClient, TurnError } from "@culvert/turn-client";
import { restAccount, type TurnAccount } from "../support/account.ts";
import { accountOf, generateIceServers } from "../support/api.ts";
import { ACCOUNT, type Platform, TLS_PORT, TURN_PORT } from "./platform.ts";

const UDP = attribute(Attr.RequestedTransport, 17);

/** Clients that do what is refused, so that each code and reason is there to be seen. */
export class Failures {
  readonly #platform: Platform;
  readonly #clients = new Set<TurnClient>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Everything once, on a relay. Fails where an answer is another one than it should be. */
  async all(relay: number): Promise<void> {
    const { access } = this.#platform;
    const ip = this.#platform.relayIps[relay] ?? "";
    const uri = `turn:${ip}:${TURN_PORT}`;
    const now = Math.floor(Date.now() / 1000);
    const connect = (options: Partial<ConnectOptions> = {}) => this.#connect({ uri, ...ACCOUNT, ...options });

    await refused(401, async () => (await connect({ password: "guessed" })).allocate());
    await refused(401, async () =>
      (await connect(restAccount("the secret that the application shares", now - 60))).allocate(),
    );
    await refused(401, async () => (await connect({ username: `${now + 60}:nobody:e30`, password: "x" })).allocate());

    const client = await connect();
    await client.allocate();
    await refused(400, () => client.request(Method.ChannelBind, []));
    await refused(403, () => client.createPermission(["169.254.169.254"]));
    await refused(437, () => client.request(Method.Allocate, [UDP]));
    await refused(438, () => client.request(Method.Refresh, [], { nonce: "no nonce of ours", retry: false }));
    await refused(442, async () => (await connect()).allocate({ transport: 6 }));
    await refused(508, async () => (await connect()).allocate({ reservationToken: new Uint8Array(8) }));

    const { port } = client.local;
    await client.close({ release: false });
    const other = await connect({ ...(await this.#issue({ user: "other" })), localPort: port });
    await refused(441, () => other.refresh());

    const single = await this.#issue({ user: `single-${relay}-${now}`, maxAllocations: 1 });
    await (await connect(single)).allocate();
    await refused(486, async () => (await connect(single)).allocate());

    await this.#drops(ip, connect);
    await this.close();
    void access;
  }

  /** One that is answered with 300 by a relay that drains, and one that goes where it is sent. */
  async redirected(relay: number): Promise<void> {
    const uri = `turn:${this.#platform.relayIps[relay]}:${TURN_PORT}`;
    await refused(300, async () => (await this.#connect({ uri, ...ACCOUNT, maxRedirects: 0 })).allocate());
    await (await this.#connect({ uri, ...ACCOUNT })).allocate();
    await this.close();
  }

  /** An Allocate while Redis is away. */
  async withoutRedis(relay: number): Promise<void> {
    const uri = `turn:${this.#platform.relayIps[relay]}:${TURN_PORT}`;
    await refused(500, async () => (await this.#connect({ uri, ...ACCOUNT, timeoutMs: 8000 })).allocate());
    await this.close();
  }

  /** A client over TLS and one over TCP, with an allocation each. They stay until `close`. */
  async streams(relay: number): Promise<void> {
    const ip = this.#platform.relayIps[relay] ?? "";
    const tls = { rejectUnauthorized: false };
    await (await this.#connect({ uri: `turns:${ip}:${TLS_PORT}?transport=tcp`, ...ACCOUNT, tls })).allocate();
    await (await this.#connect({ uri: `turn:${ip}:${TURN_PORT}?transport=tcp`, ...ACCOUNT })).allocate();
  }

  /** A client that holds an allocation on a relay until `close`. */
  async hold(relay: number): Promise<void> {
    await (await this.#connect({ uri: `turn:${this.#platform.relayIps[relay]}:${TURN_PORT}`, ...ACCOUNT })).allocate();
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    this.#clients.clear();
  }

  async #issue(body: object): Promise<TurnAccount> {
    return accountOf(await generateIceServers(this.#platform.access, body));
  }

  async #connect(options: ConnectOptions): Promise<TurnClient> {
    const client = await connectTurn({ timeoutMs: 5000, ...options });
    this.#clients.add(client);
    return client;
  }

  /** Packets that go nowhere: from a peer without a permission, of no allocation, and what is no TURN at all. */
  async #drops(ip: string, connect: () => Promise<TurnClient>): Promise<void> {
    const stranger = createSocket("udp4");
    stranger.bind(0, this.#platform.peerIp);
    await once(stranger, "listening");
    const client = await connect();
    const { relayed } = await client.allocate();
    stranger.send("unasked", relayed.port, relayed.ip);
    stranger.send(Uint8Array.of(0x40, 0x00, 0x00, 0x02, 1, 2, 0, 0), TURN_PORT, ip);
    stranger.send("GET / HTTP/1.1", TURN_PORT, ip);
    await sleep(100);
    stranger.close();
  }
}

/** Binding requests to a STUN server: one that asks for an answer from elsewhere, and one with an unknown attribute. */
export async function askStun(ip: string, localIp: string): Promise<void> {
  const socket = createSocket("udp4");
  socket.bind(0, localIp);
  await once(socket, "listening");
  const ask = (attributes: Parameters<typeof encodeMessage>[0]["attributes"]): void => {
    const transactionId = crypto.getRandomValues(new Uint8Array(12));
    socket.send(
      encodeMessage({
        method: Method.Binding,
        class: MessageClass.Request,
        transactionId,
        attributes: attributes ?? [],
      }),
      TURN_PORT,
      ip,
    );
  };
  ask([]);
  ask([attribute(Attr.ChangeRequest, { changeIp: true, changePort: true })]);
  ask([attribute(Attr.Username, "x"), attribute(Attr.ChannelNumber, 0x4000)]);
  socket.send("no STUN", TURN_PORT, ip);
  await sleep(200);
  socket.close();
}

async function refused(code: number, attempt: () => Promise<unknown>): Promise<void> {
  const error: unknown = await attempt().then(
    () => "success",
    (thrown: unknown) => thrown,
  );
  if (error instanceof TurnError && error.code === code) return;
  throw new Error(`expected ${code}, got ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}
