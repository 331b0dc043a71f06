import { mintRest } from "@culvert/credentials";
import { nodeCrypto } from "@culvert/testkit";
import { expect, test } from "vitest";
import { bytes, failure, inbox, startPeer, startRelay, type TestRelay } from "./harness.ts";

/** After what was refused, others are still served. */
async function stillServes(relay: TestRelay): Promise<void> {
  const client = await relay.connect("udp");
  await client.allocate();
  await client.close();
}

test("a wrong password is answered with 401", async () => {
  const relay = await startRelay();
  const client = await relay.connect("udp", { password: "wrong" });
  expect(await failure(client.allocate())).toMatchObject({ code: 401 });
  expect(await relay.metric("culvert_relay_auth_failures_total", { reason: "wrong-password" })).toBe(1);
  expect(await relay.metric("culvert_relay_requests_total", { method: "Allocate", code: "401" })).toBe(2);
  expect(relay.logs).toContainEqual(
    expect.objectContaining({ msg: "request not authenticated", reason: "wrong-password" }),
  );
  await stillServes(relay);
});

test("an expired username is answered with 401", async () => {
  const secret = "a shared secret";
  const relay = await startRelay({ auth: { secrets: [secret] } });
  const mint = (expiresAt: number) =>
    mintRest({ secret: bytes(secret), userId: "bob", expiresAt: Math.floor(expiresAt) }, nodeCrypto);
  const now = Date.now() / 1000;
  const expired = await relay.connect("udp", mint(now - 10));
  expect(await failure(expired.allocate())).toMatchObject({ code: 401 });
  expect(await relay.metric("culvert_relay_auth_failures_total", { reason: "rejected", detail: "expired" })).toBe(1);
  const good = await relay.connect("udp", mint(now + 60));
  expect((await good.allocate()).relayed.ip).toBe("127.0.0.1");
});

test("a stale nonce is answered with 438 and a new one", async () => {
  const relay = await startRelay();
  const client = await relay.connect("udp");
  await client.allocate();
  const forged = (client.nonce ?? "").replace(/.$/, (last) => (last === "A" ? "B" : "A"));
  const error = await failure(client.request(0x004, [], { nonce: forged, retry: false }));
  expect(error.code).toBe(438);
  expect(await relay.metric("culvert_relay_auth_failures_total", { reason: "stale-nonce" })).toBe(1);
  expect(await client.refresh()).toBe(600);
});

test("a denied peer is answered with 403 and gets no packet", async () => {
  const relay = await startRelay({ peers: { dangerouslyAllow: [] } });
  // Not the relay's own address: that one is a peer at its relayed ports.
  const canary = await startPeer({ ip: "127.0.0.2" });
  const client = await relay.connect("udp");
  await client.allocate();
  expect(await failure(client.createPermission([canary.address.ip]))).toMatchObject({ code: 403 });
  expect(await failure(client.channelBind(canary.address))).toMatchObject({ code: 403 });
  client.send(canary.address, bytes("let me in"), { via: "data" });
  // An answer to a later request tells that the indication was handled.
  await client.refresh();
  expect(canary.received).toEqual([]);
  expect(await relay.metric("culvert_relay_peers_denied_total", { method: "CreatePermission" })).toBe(1);
  expect(await relay.metric("culvert_relay_peers_denied_total", { method: "ChannelBind" })).toBe(1);
  expect(await relay.metric("culvert_relay_data_plane_dropped_total", { reason: "no-permission" })).toBe(1);
  expect(relay.logs).toContainEqual(expect.objectContaining({ msg: "peer denied", rule: "never 127.0.0.0/8" }));
});

test("what a peer sends without a permission is dropped", async () => {
  const relay = await startRelay();
  const [stranger, friend] = [await startPeer({ ip: "127.0.0.2" }), await startPeer()];
  const client = await relay.connect("udp");
  const data = inbox(client);
  const { relayed } = await client.allocate();
  await client.createPermission([friend.address.ip]);
  stranger.send(relayed, "unwanted");
  friend.send(relayed, "wanted");
  expect((await data.next()).text).toBe("wanted");
  await expect.poll(() => relay.metric("culvert_relay_data_plane_dropped_total", { reason: "no-permission" })).toBe(1);
});

test("a full port range is answered with 508 at once, and all ports come back", async () => {
  // An address that no other test relays on, so that the four ports are this relay's alone.
  const relay = await startRelay({ addresses: ["127.9.8.6"], ports: { min: 61_100, max: 61_103 } });
  const fill = async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => relay.connect("udp")));
    const ports = await Promise.all(clients.map(async (client) => (await client.allocate()).relayed.port));
    return { clients, ports: ports.sort() };
  };
  const { clients, ports } = await fill();
  expect(ports).toEqual([61_100, 61_101, 61_102, 61_103]);

  const late = await relay.connect("udp");
  expect(await failure(late.allocate())).toMatchObject({ code: 508 });
  // It was asked once only.
  expect(await relay.metric("culvert_relay_requests_total", { method: "Allocate", code: "508" })).toBe(1);

  await Promise.all(clients.map((client) => client.close()));
  expect((await fill()).ports).toEqual(ports);
});

test("a user's quota is answered with 486", async () => {
  const relay = await startRelay({ quotas: { user: 1 } });
  const first = await relay.connect("udp");
  await first.allocate();
  const second = await relay.connect("udp");
  expect(await failure(second.allocate())).toMatchObject({ code: 486 });
  await first.close();
  expect((await second.allocate()).lifetime).toBe(600);
});

test("the platform's own backends are no peers, whatever is allowed", async () => {
  const hosts = new Map([
    ["redis.internal", ["10.1.2.3"]],
    ["collector", ["10.1.2.5"]],
  ]);
  const relay = await startRelay(
    { peers: { allow: ["10.0.0.0/8"], backends: ["redis.internal", "10.9.0.0/16"] } },
    {
      resolver: async (host) => hosts.get(host) ?? [],
      env: { KUBERNETES_SERVICE_HOST: "10.96.0.1", OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" },
    },
  );
  const client = await relay.connect("udp");
  await client.allocate();
  for (const ip of ["10.1.2.3", "10.1.2.5", "10.9.8.7", "10.96.0.1"]) {
    expect(await failure(client.createPermission([ip]))).toMatchObject({ code: 403 });
  }
  await client.createPermission(["10.1.2.4"]);
  expect(relay.logs).toContainEqual(
    expect.objectContaining({ msg: "peer denied", rule: expect.stringMatching(/^backend/) }),
  );
});
