import { once } from "node:events";
import net from "node:net";
import { expect, test } from "vitest";
import { bytes, failure, inbox, startPeer, startRelay } from "./harness.ts";

test("a stopping relay refuses new allocations, serves the live one, stays ready, and ends with it", async () => {
  const relay = await startRelay({ drain: { timeout: 60 } });
  const peer = await startPeer();
  const client = await relay.connect("udp");
  const data = inbox(client);
  await client.allocate();
  await client.channelBind(peer.address);

  const late = await relay.connect("udp");
  const stopped = relay.service.stop();
  expect(await failure(late.allocate())).toMatchObject({ code: 508 });
  expect(await client.refresh()).toBe(600);
  client.send(peer.address, bytes("still"));
  expect((await data.next()).text).toBe("echo:still");
  expect(relay.service.ready().ready).toBe(true);
  expect(await relay.metric("culvert_relay_draining")).toBe(1);

  await client.close();
  await stopped;
  await expect(fetch(`http://${relay.info.ops?.host}:${relay.info.ops?.port}/healthz/live`)).rejects.toThrow();
});

test("at the deadline the relay stops although something lives", async () => {
  const relay = await startRelay({ drain: { timeout: 0.2 } });
  const client = await relay.connect("udp");
  await client.allocate();
  const started = performance.now();
  await relay.service.stop();
  expect(performance.now() - started).toBeGreaterThan(190);
});

test("an idle relay stops at once and listens no more", async () => {
  // An address that no other test uses, so that nobody takes the port meanwhile.
  const listeners = [{ transport: "tcp", ip: "127.9.8.7", port: 0 }];
  const relay = await startRelay({ listeners, drain: { timeout: 60 } });
  const { ip, port } = relay.info.listeners[0] ?? { ip: "", port: 0 };
  await relay.service.stop();
  const [error] = await once(net.connect(port, ip), "error");
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});
