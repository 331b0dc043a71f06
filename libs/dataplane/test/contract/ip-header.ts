import { describe, expect, onTestFinished, test } from "vitest";
import { IpHeaderEndpoint } from "./ip-header-endpoint.ts";
import { channelData, send } from "./messages.ts";
import { type CreateHarness, LOOPBACK, tuple, World } from "./world.ts";

const CHANNEL = 0x4001;
/** Linux's default. */
const DEFAULT_TTL = 64;
const EXPEDITED = 46 << 2;
const CLASSES = {
  "expedited forwarding": EXPEDITED,
  "ECT(0)": 0b10,
  "ECT(1)": 0b01,
  "expedited forwarding, congestion experienced": EXPEDITED | 0b11,
  "best effort": 0,
} as const;

async function endpoint(ip: string): Promise<IpHeaderEndpoint> {
  const opened = await IpHeaderEndpoint.open(ip);
  onTestFinished(() => opened.close());
  return opened;
}

/**
 * The IP header of what is relayed (RFC 8656 section 14, 13 from one family to the other, 15 from streams): DSCP and ECN are those of the
 * datagram that brought the data, or best effort and not ECN-capable where the implementation does not see them; the TTL
 * is always the system's own.
 */
export function ipHeaders(create: CreateHarness): void {
  describe.each([
    { client: LOOPBACK[4], peer: LOOPBACK[4] },
    { client: LOOPBACK[6], peer: LOOPBACK[6] },
    { client: LOOPBACK[4], peer: LOOPBACK[6] },
    { client: LOOPBACK[6], peer: LOOPBACK[4] },
  ])("the IP header from $client to $peer and back", (ips) => {
    async function given() {
      const world = new World(create);
      const listener = await world.listen({ local: { ip: ips.client, port: 0 } });
      const [client, peer] = await Promise.all([endpoint(ips.client), endpoint(ips.peer)]);
      const relay = await world.allocation(tuple(listener, client), { ip: ips.peer });
      world.permit(relay.id, ips.peer);
      const kept = (tos: number) => ({ tos: world.harness.copiesTrafficClass ? tos : 0, ttl: DEFAULT_TTL });
      return { world, listener: listener.local, client, peer, relay, kept };
    }

    test("has the traffic class of what brought the data, and a TTL of its own", async () => {
      const { world, listener, client, peer, relay, kept } = await given();
      for (const channel of [undefined, CHANNEL]) {
        if (channel !== undefined) world.channel(relay.id, channel, peer.address);
        for (const [name, tos] of Object.entries(CLASSES)) {
          const message = channel === undefined ? send(peer.address, "out") : channelData(channel, "out");
          client.send(listener, message, { tos, ttl: 17 });
          const out = { data: Buffer.from("out"), from: relay.address, ...kept(tos) };
          expect(await peer.next(), `${name} to the peer`).toMatchObject(out);
          peer.send(relay.address, "back", { tos, ttl: 17 });
          expect(await client.next(), `${name} to the client`).toMatchObject({ from: listener, ...kept(tos) });
        }
      }
    });
  });

  test("what comes over a stream goes to the peer as best effort", async () => {
    const world = new World(create);
    const listener = await world.listen({ transport: "tcp" });
    const [client, peer] = [await world.connect(listener), await endpoint(LOOPBACK[4])];
    const relay = await world.allocation(tuple(listener, client));
    world.permit(relay.id, LOOPBACK[4]);
    await client.write(send(peer.address, "out!"));
    expect(await peer.next()).toMatchObject({ data: Buffer.from("out!"), tos: 0, ttl: DEFAULT_TTL });
  });
}
