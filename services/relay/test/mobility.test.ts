import { createRelayClient } from "@culvert/contracts";
import { describe, expect, test } from "vitest";
import { bytes, failure, inbox, later, startPeer, startRelay, USER } from "./harness.ts";
import { allocateMobile, channelOf, claim } from "./moving.ts";

const TOKEN = "the-token-of-the-operators";
const BOB = { username: "bob", password: "builder" };
const CHANNEL = 0x4000;

async function start(overrides: Readonly<Record<string, unknown>>) {
  const relay = await startRelay({ auth: { users: [USER, BOB] }, grpc: { port: 0, token: TOKEN }, ...overrides });
  const operator = createRelayClient({
    target: `127.0.0.1:${relay.info.grpc?.port}`,
    credentials: { token: TOKEN },
  });
  later(() => operator.close());
  const only = async () => {
    const { allocations } = await operator.list({}, { limit: 10 });
    const [allocation] = allocations;
    if (allocation === undefined || allocations.length > 1) throw new Error(`${allocations.length} allocations`);
    return allocation;
  };
  return { relay, only };
}

// The native data plane is what "auto" becomes where it is built.
describe.each(["auto", "node"])("on data plane %s", (kind) => {
  const allowed = (overrides: object = {}) => start({ mobility: "allowed", dataPlane: { kind }, ...overrides });

  test.each([
    ["udp", "udp"],
    ["udp", "tcp"],
    ["tcp", "udp"],
  ] as const)("a call goes on both ways when its client moves from %s to another socket over %s", async (from, to) => {
    const { relay, only } = await allowed();
    const [peer, other] = [await startPeer(), await startPeer()];
    const old = await relay.connect(from);
    const { relayed, mobilityTicket = bytes("") } = await allocateMobile(old);
    await old.channelBind(peer.address);
    const before = inbox(old);
    old.send(peer.address, bytes("from the old address"));
    expect((await before.next()).text).toBe("echo:from the old address");
    const was = await only();

    const moved = await relay.connect(to);
    const next = await claim(moved, mobilityTicket);
    expect(next).not.toEqual(mobilityTicket);
    // Nothing was sent from there yet.
    peer.send(relayed, "to the old address");
    expect((await before.next()).text).toBe("to the old address");

    const channel = channelOf(moved, CHANNEL);
    channel.send("from the new one");
    expect(await channel.next()).toBe("echo:from the new one");
    peer.send(relayed, "to the new one");
    expect(await channel.next()).toBe("to the new one");
    // The permission is of the address, so another port of it needs nothing more.
    const after = inbox(moved);
    moved.send(other.address, bytes("by Send"));
    expect(await after.next()).toEqual({ text: "echo:by Send", via: "data" });
    expect(peer.received).toEqual(["from the old address", "from the new one"]);

    const is = await only();
    expect(is.id).toBe(was.id);
    expect(is.client.port).not.toBe(was.client.port);
    const [address] = is.relayed;
    expect(address?.address).toEqual(relayed);
    expect(address?.permissions.map(({ ip }) => ip)).toEqual([peer.address.ip]);
    expect(address?.channels.map(({ number }) => number)).toEqual([CHANNEL]);
    expect(is.traffic).toMatchObject({ packetsToPeers: 3, packetsToClient: 5 });

    expect(relay.service.allocations()).toBe(1);
    expect(await moved.refresh(0)).toBe(0);
    expect(relay.service.allocations()).toBe(0);
  });

  test("the first data from the new socket may be a Send indication", async () => {
    const { relay } = await allowed();
    const peer = await startPeer();
    const old = await relay.connect("udp");
    const { mobilityTicket = bytes("") } = await allocateMobile(old);
    await old.createPermission([peer.address.ip]);
    const moved = await relay.connect("udp");
    await claim(moved, mobilityTicket);
    const after = inbox(moved);
    moved.send(peer.address, bytes("by Send"));
    expect(await after.next()).toEqual({ text: "echo:by Send", via: "data" });
  });

  test("a client whose connection broke comes back to its allocation", async () => {
    const { relay } = await allowed();
    const peer = await startPeer();
    const old = await relay.connect("tcp");
    const { relayed, mobilityTicket = bytes("") } = await allocateMobile(old);
    await old.channelBind(peer.address);
    await old.close({ release: false });
    const moved = await relay.connect("tcp");
    await claim(moved, mobilityTicket);
    const channel = channelOf(moved, CHANNEL);
    // Once the relay has seen the end of the old one there is no other address, so nothing has to be sent first.
    const sending = setInterval(() => peer.send(relayed, "to the new one"), 10);
    later(() => clearInterval(sending));
    expect(await channel.next()).toBe("to the new one");
    clearInterval(sending);
    channel.send("back again");
    await expect.poll(() => channel.next()).toBe("echo:back again");
  });

  test("moves on with the next ticket, and not with one that was used", async () => {
    const { relay } = await allowed();
    const peer = await startPeer();
    const clients = [await relay.connect("udp"), await relay.connect("udp"), await relay.connect("udp")] as const;
    const { mobilityTicket = bytes("") } = await allocateMobile(clients[0]);
    await clients[0].channelBind(peer.address);
    const next = await claim(clients[1], mobilityTicket);
    channelOf(clients[1], CHANNEL).send("here");
    await expect.poll(() => peer.received).toEqual(["here"]);
    expect(await failure(claim(clients[2], mobilityTicket))).toMatchObject({ code: 400 });
    await claim(clients[2], next);
    const channel = channelOf(clients[2], CHANNEL);
    channel.send("there");
    expect(await channel.next()).toBe("echo:there");
  });

  test("another user gets 441 for the ticket, a forged one gets 400, and the call goes on", async () => {
    const { relay } = await allowed();
    const peer = await startPeer();
    const alice = await relay.connect("udp");
    const { mobilityTicket = bytes("") } = await allocateMobile(alice);
    await alice.createPermission([peer.address.ip]);
    const bob = await relay.connect("udp", BOB);
    expect(await failure(claim(bob, mobilityTicket))).toMatchObject({ code: 441 });
    const forged = mobilityTicket.map((byte, index) => (index === 20 ? byte ^ 1 : byte));
    expect(await failure(claim(await relay.connect("udp"), forged))).toMatchObject({ code: 400 });
    const data = inbox(alice);
    alice.send(peer.address, bytes("still mine"));
    expect((await data.next()).text).toBe("echo:still mine");
  });
});

test("without the key mobility is ignored: no ticket, and an allocation as any other", async () => {
  const { relay } = await start({});
  const client = await relay.connect("udp");
  expect((await allocateMobile(client)).mobilityTicket).toBeUndefined();
});

test("forbidden, it is told so with 405", async () => {
  const { relay } = await start({ mobility: "forbidden" });
  expect(await failure(allocateMobile(await relay.connect("udp")))).toMatchObject({ code: 405 });
});

test.each([
  ["that knows the keys of its nonces: 437, the allocation is gone", ["a key that all relays share"], 437],
  ["that has keys of its own: 400, the ticket is nobody's", [], 400],
] as const)("a ticket of a relay that has ended, shown to one %s", async (_, nonceKeys, code) => {
  const auth = { users: [USER], nonceKeys };
  const first = await start({ mobility: "allowed", auth });
  const { mobilityTicket = bytes("") } = await allocateMobile(await first.relay.connect("udp"));
  await first.relay.service.stop();
  const second = await start({ mobility: "allowed", auth });
  expect(await failure(claim(await second.relay.connect("udp"), mobilityTicket))).toMatchObject({ code });
});
