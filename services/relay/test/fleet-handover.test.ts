import { expect, test } from "vitest";
import { settled, startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, startPeer } from "./harness.ts";

const [A, B] = ["127.81.5.1", "127.81.5.2"];

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
  await settled();
  const peer = await startPeer();
  const client = await a.connect("udp");
  const data = inbox(client);
  const { relayed } = await client.allocate();
  await client.channelBind(peer.address);
  client.send(peer.address, bytes("before"));
  expect((await data.next()).text).toBe("echo:before");

  await a.service.stop();
  await expect
    .poll(
      () => {
        client.send(peer.address, bytes("after"));
        return peer.received.includes("after");
      },
      { timeout: 6_000 },
    )
    .toBe(true);
  expect(await data.next()).toEqual({ text: "echo:after", via: "channel" });
  expect(await client.refresh()).toBe(600);
  expect(client.allocation?.relayed).toEqual(relayed);
});
