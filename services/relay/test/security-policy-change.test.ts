import { afterEach, expect, test, vi } from "vitest";
import { bytes, failure, startRelay } from "./harness.ts";

afterEach(() => vi.useRealTimers());

test("a peer that turns out to be an own backend is cut off at once, live permission and channel included", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const addresses = ["10.1.1.1"];
  const relay = await startRelay(
    { peers: { allow: ["10.0.0.0/8"], backends: ["redis.internal"] } },
    { resolver: async () => [...addresses] },
  );
  const client = await relay.connect("udp");
  await client.allocate();
  const peer = { ip: "10.2.2.2", port: 6379 };
  await client.createPermission([peer.ip]);
  await client.channelBind(peer);

  addresses.push(peer.ip);
  vi.advanceTimersByTime(60_000);
  await expect.poll(() => relay.metric("culvert_relay_permissions_revoked_total")).toBe(1);

  const dropped = () => relay.metric("culvert_relay_data_plane_dropped_total", { reason: "no-permission" });
  const before = await dropped();
  client.send(peer, bytes("FLUSHALL"), { via: "data" });
  await client.binding();
  expect(await dropped()).toBe(before + 1);
  expect(await failure(client.createPermission([peer.ip]))).toMatchObject({ code: 403 });
  expect(await failure(client.channelBind(peer))).toMatchObject({ code: 403 });
  expect(relay.logs).toContainEqual(expect.objectContaining({ msg: "permission revoked" }));
});
