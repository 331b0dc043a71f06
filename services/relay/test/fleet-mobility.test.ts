import { describe, expect, test } from "vitest";
import { startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, failure, inbox, startPeer, USER } from "./harness.ts";
import { allocateMobile, channelOf, claim } from "./moving.ts";

const BOB = { username: "bob", password: "builder" };
const CHANNEL = 0x4000;

/** Two relays behind one load balancer: what clients know is one frontend. */
describe.each([
  ["auto", ["127.81.12.1", "127.81.12.2"]],
  ["node", ["127.81.12.3", "127.81.12.4"]],
] as const)("on data plane %s", (kind, ips) => {
  async function startTwo() {
    const fleet = startFleet();
    const behind = (identity: string, ip: string) =>
      startFleetRelay(fleet, {
        identity,
        ip,
        // The native data plane keeps to its own clock.
        fleet: { lease: { ttl: 2, outage: 60 } },
        relay: {
          auth: { users: [USER, BOB] },
          listeners: [{ transport: "udp", ip, port: 3478, frontend: "balancer" }],
          dataPlane: { kind },
        },
      });
    const [a, b] = [await behind("relay-a", ips[0]), await behind("relay-b", ips[1])];
    for (const relay of [a, b]) await expect.poll(() => relay.metric("culvert_relay_mesh_peers")).toBe(1);
    return { a, b };
  }

  test("a client that moves comes to the other relay, and its call goes on both ways", async () => {
    const { a, b } = await startTwo();
    const [peer, other] = [await startPeer(), await startPeer()];
    const old = await a.connect("udp");
    const { relayed, mobilityTicket = bytes("") } = await allocateMobile(old);
    await old.channelBind(peer.address);
    const before = inbox(old);
    old.send(peer.address, bytes("from the old address"));
    expect((await before.next()).text).toBe("echo:from the old address");

    const moved = await b.connect("udp");
    await claim(moved, mobilityTicket);
    const channel = channelOf(moved, CHANNEL);
    channel.send("from the new one");
    expect(await channel.next()).toBe("echo:from the new one");
    peer.send(relayed, "to the new one");
    expect(await channel.next()).toBe("to the new one");
    const after = inbox(moved);
    moved.send(other.address, bytes("by Send"));
    expect(await after.next()).toEqual({ text: "echo:by Send", via: "data" });
    expect(await moved.refresh()).toBe(600);
    expect([a.service.allocations(), b.service.allocations()]).toEqual([1, 0]);

    expect(await moved.refresh(0)).toBe(0);
    expect(a.service.allocations()).toBe(0);
  });

  test("another user gets 441 there", async () => {
    const { a, b } = await startTwo();
    const { mobilityTicket = bytes("") } = await allocateMobile(await a.connect("udp"));
    expect(await failure(claim(await b.connect("udp", BOB), mobilityTicket))).toMatchObject({ code: 441 });
    expect(a.service.allocations()).toBe(1);
  });
});
