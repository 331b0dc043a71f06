import { expect, it } from "vitest";
import { type FleetRelay, SECRET, startFleet, startFleetRelay } from "./fleet-harness.ts";
import { bytes, inbox, startPeer } from "./harness.ts";

const NEXT = "the next secret of the relays in the tests, long enough";
const FRONTEND = "turn.example.org";

/** A relay whose secrets may be set anew. */
async function relayOf(fleet: ReturnType<typeof startFleet>, identity: string, ip: string, secret: string = SECRET) {
  const relay = {
    listeners: [{ transport: "udp", ip, port: 3478, frontend: FRONTEND }],
    addresses: [ip],
    ports: { min: 28_000, max: 28_199 },
    dataPlane: { kind: "node" },
  };
  const started = await startFleetRelay(fleet, {
    identity,
    ip,
    relay,
    fleet: { secrets: [secret], mesh: { ip, port: 3479 } },
  });
  const section = {
    identity,
    redis: { url: "redis://127.0.0.1:1" },
    lease: { ttl: 0.6, outage: 60 },
    slots: { ports: 100 },
    mesh: { ip, port: 3479 },
  };
  const setSecrets = (...secrets: readonly string[]) =>
    started.reconfigure({ ...relay, fleet: { ...section, secrets } });
  return { ...started, setSecrets };
}

const meshFailures = (relay: FleetRelay) =>
  relay.metric("culvert_relay_data_plane_dropped_total", { reason: "mesh-auth" });

it("secrets of a fleet rotate while its relays run: the mesh and nonces follow, and no call notices", async () => {
  const fleet = startFleet();
  const a = await relayOf(fleet, "relay-a", "127.81.9.1");
  const b = await relayOf(fleet, "relay-b", "127.81.9.2");
  const peer = await startPeer();
  const call = await a.connect("udp");
  const data = inbox(call);
  await call.allocate();
  await call.channelBind(peer.address);
  const nonce = call.nonce;
  const goesOn = async (): Promise<void> => {
    call.send(peer.address, bytes("still"));
    expect((await data.next()).text).toBe("echo:still");
    expect(await call.refresh()).toBe(600);
  };
  // One relay after the other, as in a fleet: at each step they have to understand each other.
  for (const secrets of [[SECRET, NEXT], [NEXT, SECRET], [NEXT]]) {
    for (const relay of [a, b]) {
      relay.setSecrets(...secrets);
      await goesOn();
    }
    if (secrets.length > 1) expect(call.nonce).toBe(nonce);
    const both = [await meshFailures(a), await meshFailures(b)];
    expect(both).toEqual([0, 0]);
  }
  // One that has never known another secret is heard by all, and hears all.
  const c = await relayOf(fleet, "relay-c", "127.81.9.3", NEXT);
  const heard = () => c.metric("culvert_relay_mesh_packets_total", { direction: "in" });
  await expect.poll(heard).toBeGreaterThan(2);
  expect([await meshFailures(a), await meshFailures(b), await meshFailures(c)]).toEqual([0, 0, 0]);
  expect(a.logs.filter(({ msg }) => msg === "configuration changed")).toHaveLength(3);
});
