import { connectTurn, type TurnClient } from "@culvert/turn-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountOf, generateIceServers, signalingToken } from "../support/api.ts";
import { nextArrival, passBothWays, relayBothWays } from "../support/arrivals.ts";
import { eventually } from "../support/eventually.ts";
import { type Fleet, startFleet } from "../support/fleet.ts";
import { scrape, total } from "../support/metrics.ts";
import { SignalingClient } from "../support/signaling-client.ts";

let fleet: Fleet;
const clients: TurnClient[] = [];

beforeAll(async () => {
  fleet = await startFleet();
});

afterAll(async () => {
  for (const client of clients) await client.close();
});

async function connect(uri: string, account?: { username: string; password: string }): Promise<TurnClient> {
  const login = account ?? accountOf(await generateIceServers(fleet.access));
  const client = await connectTurn({ uri, ...login, tls: { rejectUnauthorized: false }, timeoutMs: 30_000 });
  clients.push(client);
  return client;
}

const turnUri = (transport: "udp" | "tcp" | "tls"): string =>
  transport === "tls"
    ? `turns:127.0.0.1:${fleet.relay.tlsPort}`
    : `turn:127.0.0.1:${fleet.relay.port}?transport=${transport}`;

async function signal(from: SignalingClient, to: SignalingClient, sdp: string): Promise<void> {
  from.send("ice.desc", { description: { type: "offer", sdp } }, { to: to.address });
  const { from: sender, data } = await to.next("ice.desc");
  expect(sender).toBe(from.address);
  expect(data).toMatchObject({ description: { type: "offer", sdp } });
}

describe.sequential("four processes, keys over gRPC", () => {
  let alice: SignalingClient;
  let bob: SignalingClient;
  let pair: readonly [TurnClient, TurnClient];
  /** Issued while the credential service was there, used after it is gone. */
  let kept: { username: string; password: string };
  let keptToken: string;

  test("the API names the servers of the other processes", async () => {
    const iceServers = await generateIceServers(fleet.access);
    expect(iceServers.flatMap(({ urls }) => urls)).toEqual([
      `stun:127.0.0.1:${fleet.stunPort}`,
      turnUri("udp"),
      turnUri("tcp"),
      `${turnUri("tls")}?transport=tcp`,
    ]);
    kept = accountOf(iceServers);
    keptToken = await signalingToken(fleet.access, "carol");
  });

  test.each(["udp", "tcp", "tls"] as const)("traffic is relayed both ways over %s", async (transport) => {
    pair = [await connect(turnUri(transport)), await connect(turnUri(transport))];
    await relayBothWays(...pair);
  });

  test("the STUN process answers Binding", async () => {
    const client = await connect(`turn:127.0.0.1:${fleet.stunPort}`);
    expect(await client.binding()).toEqual(client.local);
  });

  test("two WebSocket clients meet in a room and exchange descriptions", async () => {
    const { access, signalingUrl } = fleet;
    alice = await SignalingClient.open(signalingUrl, await signalingToken(access, "alice"));
    bob = await SignalingClient.open(signalingUrl, await signalingToken(access, "bob"));
    alice.send("room.join", {}, { room: "lobby" });
    await alice.next("room.join");
    bob.send("room.join", {}, { room: "lobby" });
    expect((await bob.next("room.join")).data).toMatchObject({ members: [{ peer: alice.address }] });
    expect((await alice.next("room.event")).data).toMatchObject({ event: "join", peer: bob.address });
    await signal(alice, bob, "v=0 one");
    await signal(bob, alice, "v=0 two");
  });

  test("the credential process is killed, and the relay knows", async () => {
    const watching = async (): Promise<number> =>
      total(await scrape(`${fleet.opsUrl("relay")}/metrics`), "culvert_relay_key_watch_connected");
    expect(await watching()).toBe(1);
    const { credential } = fleet.processes;
    expect(await credential.stop("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
    await eventually("the relay's key watch is down", async () => ((await watching()) === 0 ? true : undefined));
    await expect(generateIceServers(fleet.access)).rejects.toThrow();
  });

  test("live sessions go on without it", async () => {
    await passBothWays(...pair);
    for (const client of pair) expect(await client.refresh()).toBeGreaterThan(0);
    await signal(alice, bob, "v=0 three");
  });

  test("new sessions are verified from the keys that are known", async () => {
    const [a, b] = [await connect(turnUri("udp"), kept), await connect(turnUri("tcp"), kept)];
    await relayBothWays(a, b);
    const carol = await SignalingClient.open(fleet.signalingUrl, keptToken);
    await signal(carol, bob, "v=0 four");
    const wrong = await connect(turnUri("udp"), { ...kept, password: "wrong" });
    await expect(wrong.allocate()).rejects.toMatchObject({ code: 401 });
    // Old and new reach each other.
    const [old] = pair;
    await old.createPermission([a.allocation?.relayed.ip ?? ""]);
    const arrival = nextArrival(a);
    old.send(a.allocation?.relayed ?? { ip: "", port: 0 }, Buffer.from("across"));
    expect((await arrival).text).toBe("across");
    await carol.close();
  });

  test("the relay stays ready, and the others stop cleanly", async () => {
    expect((await fleet.readiness("relay")).status).toBe(200);
    await Promise.all([alice.close(), bob.close()]);
    for (const client of clients.splice(0)) await client.close();
    for (const service of ["relay", "stun", "signaling"] as const) {
      expect(await fleet.processes[service].stop("SIGTERM")).toEqual({ code: 0, signal: null });
    }
  });
});
