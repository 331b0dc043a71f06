import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { certificateFiles } from "./certificate.ts";
import { bytes, inbox, startPeer, startRelay } from "./harness.ts";

const tls = { transport: "tls", ip: "127.0.0.1", port: 0 };
const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === "::1"),
);

test.each(["udp", "tcp", "tls"] as const)(
  "over %s an allocation relays both ways, by channel and by Send and Data",
  async (transport) => {
    const { cert, key, pem } = await certificateFiles();
    const relay = await startRelay({
      tls: { cert, key },
      listeners: [{ transport: "udp", ip: "127.0.0.1", port: 0 }, { transport: "tcp", ip: "127.0.0.1", port: 0 }, tls],
    });
    const peer = await startPeer();
    const client = await relay.connect(transport, { tls: { ca: pem } });
    const data = inbox(client);

    const { relayed, lifetime } = await client.allocate();
    expect(relayed.ip).toBe("127.0.0.1");
    expect(lifetime).toBe(600);

    await client.createPermission([peer.address.ip]);
    client.send(peer.address, bytes("by indication"), { via: "data" });
    expect(await data.next()).toEqual({ text: "echo:by indication", via: "data" });

    await client.channelBind(peer.address);
    client.send(peer.address, bytes("by channel"));
    expect(await data.next()).toEqual({ text: "echo:by channel", via: "channel" });
    expect(peer.received).toEqual(["by indication", "by channel"]);

    expect(await relay.metric("culvert_relay_allocations")).toBe(1);
    expect(await relay.metric("culvert_relay_allocations_created_total", { transport })).toBe(1);
    expect(await relay.metric("culvert_relay_relayed_packets_total", { direction: "to_peer" })).toBe(2);
    expect(await relay.metric("culvert_relay_relayed_bytes_total", { direction: "to_client" })).toBe(
      "echo:by indication".length + "echo:by channel".length,
    );

    await client.refresh(0);
    expect(relay.service.allocations()).toBe(0);
    expect(await relay.metric("culvert_relay_allocations_deleted_total", { reason: "refresh" })).toBe(1);
  },
);

test("two clients relay to each other through their relayed addresses", async () => {
  const relay = await startRelay();
  const [a, b] = await Promise.all([relay.connect("udp"), relay.connect("tcp")]);
  const [fromB, fromA] = [inbox(a), inbox(b)];
  const [atA, atB] = await Promise.all([a.allocate(), b.allocate()]);
  await a.channelBind(atB.relayed);
  await b.channelBind(atA.relayed);
  a.send(atB.relayed, bytes("to b"));
  expect(await fromA.next()).toEqual({ text: "to b", via: "channel" });
  b.send(atA.relayed, bytes("to a"));
  expect(await fromB.next()).toEqual({ text: "to a", via: "channel" });
});

test.runIf(hasIpv6)("an IPv6 listener and an IPv6 relayed address", async () => {
  const relay = await startRelay({
    listeners: [{ transport: "udp", ip: "::1", port: 0 }],
    addresses: ["127.0.0.1", "::1"],
  });
  const peer = await startPeer({ ip: "::1" });
  const client = await relay.connect("udp");
  const data = inbox(client);
  const { relayed } = await client.allocate({ family: 6 });
  expect(relayed.ip).toBe("::1");
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("six"));
  expect(await data.next()).toEqual({ text: "echo:six", via: "channel" });
});

test("an external address is what the client is told, and reaches the socket behind it", async () => {
  const relay = await startRelay({ addresses: ["192.0.2.7/127.0.0.1"] });
  const [a, b] = await Promise.all([relay.connect("udp"), relay.connect("udp")]);
  const fromA = inbox(b);
  const [atA, atB] = await Promise.all([a.allocate(), b.allocate()]);
  expect(atA.relayed.ip).toBe("192.0.2.7");
  await b.createPermission([atA.relayed.ip]);
  await a.channelBind(atB.relayed);
  a.send(atB.relayed, bytes("inside"));
  expect(await fromA.next()).toEqual({ text: "inside", via: "data" });
});

test("no address and no user name is in a log line", async () => {
  const relay = await startRelay();
  const client = await relay.connect("udp");
  await client.allocate();
  await client.refresh(0);
  const lines = relay.logs.filter(({ msg }) => String(msg).startsWith("allocation"));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatchObject({ user: expect.stringMatching(/^user-/), client: expect.stringMatching(/^ip-/) });
  expect(JSON.stringify(lines)).not.toMatch(/alice|127\.0/);
});
