import { expect, test } from "vitest";
import { settled, startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, startPeer } from "./harness.ts";

const [A, B] = ["127.81.5.1", "127.81.5.2"];

/** Two relays on one host, so that either has the other's address. */
async function twoRelays(drain: { readonly a?: number; readonly b?: number }) {
  const fleet = startFleet();
  const launch = (identity: string, ip: string, addresses: readonly string[], timeout = 0) =>
    startFleetRelay(fleet, {
      identity,
      ip,
      relay: { addresses, drain: { timeout } },
      fleet: { failover: "address", host: `host of ${identity}`, mesh: { ip, port: 3479 } },
    });
  const a = await launch("relay-a", A, [A], drain.a);
  const b = await launch("relay-b", B, [B, A], drain.b);
  await settled(fleet);
  return { a, b };
}

test("a relay that ends hands its slots at once to one whose host has its address, and does not wait for its calls", async () => {
  const { a, b } = await twoRelays({ a: 600 });
  const peer = await startPeer();
  const client = await a.connect("udp");
  const data = inbox(client);
  const { relayed } = await client.allocate();
  await client.channelBind(peer.address);
  await a.service.stop();
  const isThere = () => b.service.allocations() === 1;
  await expect.poll(isThere).toBe(true);
  client.send(peer.address, bytes("after"));
  expect((await data.next()).text).toBe("echo:after");
  expect(await client.refresh()).toBe(600);
  expect(client.allocation?.relayed).toEqual(relayed);
});

test("a relay that ends keeps what nobody else has the address for", async () => {
  const { b } = await twoRelays({ b: 600 });
  const client = await b.connect("udp");
  await client.allocate();
  const stopped = b.service.stop();
  expect(await client.refresh()).toBe(600);
  expect(b.service.ready().ready).toBe(true);
  expect(b.service.allocations()).toBe(1);
  await client.close();
  await stopped;
});

test("a relay that ends hands its slots over; clients go on at the same addresses, by a listener that comes along", async () => {
  const fleet = startFleet();
  const a = await startFleetRelay(fleet, {
    identity: "relay-a",
    ip: A,
    fleet: { failover: "address", host: "host-a", mesh: { ip: A, port: 3479 } },
  });
  const b = await startFleetRelay(fleet, {
    identity: "relay-b",
    ip: B,
    relay: { addresses: [B, A] },
    fleet: { failover: "address", host: "host-b", mesh: { ip: B, port: 3479 } },
  }).catch((error: unknown) => error);
  if (b instanceof Error || typeof b !== "object" || b === null) throw b;
  await settled(fleet);
  const peer = await startPeer();
  const client = await a.connect("udp");
  const data = inbox(client);
  const { relayed } = await client.allocate();
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("before"));
  expect((await data.next()).text).toBe("echo:before");

  await a.service.stop();
  await expect
    .poll(() => {
      client.send(peer.address, bytes("after"));
      return peer.received.includes("after");
    })
    .toBe(true);
  expect(await data.next()).toEqual({ text: "echo:after", via: "channel" });
  expect(await client.refresh()).toBe(600);
  expect(client.allocation?.relayed).toEqual(relayed);
});
