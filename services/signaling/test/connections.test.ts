import { connect, type Socket } from "node:net";
import { SUBPROTOCOL } from "@culvert/rendezvous";
import type { SignalingInfo } from "@culvert/signaling-service";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Client, later, metric, mint, start } from "./support.ts";

/** The status that an upgrade is answered with. */
function upgrade(
  url: string,
  protocols: string[] = [SUBPROTOCOL],
  headers: Record<string, string> = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, { headers });
    later(() => socket.terminate());
    socket.on("unexpected-response", (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    socket.on("open", () => resolve(101));
    socket.on("error", reject);
  });
}

function tcp(info: SignalingInfo): Socket {
  const socket = connect(info.listen.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  later(() => socket.destroy());
  return socket;
}

/** How long a slow client may hold a connection, in milliseconds. */
const SLOW_LIMIT_MS = 15_000;

/** Resolves with the milliseconds until the connection is closed. */
const ended = (socket: Socket): Promise<number> => {
  const began = performance.now();
  return new Promise((resolve) => socket.on("close", () => resolve(performance.now() - began)));
};

describe("upgrades", () => {
  it("are taken on one path, with the subprotocol", async () => {
    const { info } = await start();
    const base = `ws://127.0.0.1:${info.listen.port}`;
    expect(await upgrade(`${base}/v1/signaling`)).toBe(101);
    expect(await upgrade(`${base}/v1/signaling`, ["other", SUBPROTOCOL])).toBe(101);
    expect(await upgrade(`${base}/v1/signaling`, ["culvert.signaling.v2"])).toBe(400);
    expect(await upgrade(`${base}/v1/signaling`, [])).toBe(400);
    expect(await upgrade(`${base}/`)).toBe(404);
    expect(await upgrade(`${base}/v1/signaling/x`)).toBe(404);
    const plain = await fetch(info.url.replace("ws:", "http:"));
    expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
    expect((await fetch(`http://127.0.0.1:${info.listen.port}/`)).status).toBe(404);
    expect(await metric(info, "culvert_signaling_refused_total", 'reason="subprotocol"')).toBe(2);
  });

  it("come only from allowed origins, where there are any; a client that is no browser has none", async () => {
    const { info } = await start({ origins: ["https://app.example.org"] });
    expect(await upgrade(info.url, [SUBPROTOCOL], { origin: "https://app.example.org" })).toBe(101);
    expect(await upgrade(info.url, [SUBPROTOCOL], { origin: "https://evil.example.org" })).toBe(403);
    expect(await upgrade(info.url, [SUBPROTOCOL], { origin: "null" })).toBe(403);
    expect(await upgrade(info.url)).toBe(101);
  });

  it("are capped by source", async () => {
    const { info } = await start({ maxConnectionsPerSource: 2 });
    const clients = [new Client(info.url), new Client(info.url)];
    for (const client of clients) await client.next("welcome");
    await expect(upgrade(info.url)).rejects.toThrow();
    clients[0]?.socket.terminate();
    await clients[0]?.closed;
    await expect.poll(() => upgrade(info.url).catch(() => 0)).toBe(101);
  });

  it("are capped by the source that a trusted proxy names", async () => {
    const { info } = await start({ maxConnectionsPerSource: 1, trustedProxies: ["127.0.0.0/8"] });
    const from = (address: string) => upgrade(info.url, [SUBPROTOCOL], { "x-forwarded-for": address });
    expect(await from("198.51.100.1")).toBe(101);
    expect(await from("198.51.100.2")).toBe(101);
    expect(await from("198.51.100.1")).toBe(429);
    expect(await from("203.0.113.9, 198.51.100.1")).toBe(429);
    expect(await from("2001:db8::1")).toBe(101);
    expect(await from("2001:db8:0:0:ffff::2")).toBe(429);
    expect(await from("2001:db8:0:1::1")).toBe(101);
  });

  it("are capped in all", async () => {
    const { info } = await start({ maxConnections: 1 });
    const client = new Client(info.url);
    await client.next("welcome");
    await expect(upgrade(info.url)).rejects.toThrow();
  });
});

describe("slow clients", () => {
  it("are closed when they say no hello", async () => {
    const { info } = await start({ session: { helloTimeout: 1 } });
    const client = new Client(info.url);
    expect(await client.closed).toEqual({ code: 4408, reason: "hello_timeout" });
  });

  it.each([
    ["nothing", []],
    ["half a header", ["GET /v1/signaling HTTP/1.1\r\nHost: x\r\nUpgr"]],
    ["a header byte by byte", ["drip"]],
  ])("are closed when they send %s", async (_name, parts) => {
    const { info } = await start();
    const socket = tcp(info);
    const closed = ended(socket);
    if (parts[0] === "drip") {
      const drip = setInterval(() => socket.write("G"), 50);
      later(() => clearInterval(drip));
    } else for (const part of parts) socket.write(part);
    expect(await closed).toBeLessThan(SLOW_LIMIT_MS);
  });

  it("are closed when they drip a message byte by byte", async () => {
    const { info } = await start({ session: { helloTimeout: 1 } });
    const socket = tcp(info);
    socket.write(
      `GET /v1/signaling HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
    );
    const closed = ended(socket);
    // A masked text frame of 64 KiB, of which one byte comes at a time.
    socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]));
    const drip = setInterval(() => socket.write("x"), 50);
    later(() => clearInterval(drip));
    expect(await closed).toBeLessThan(SLOW_LIMIT_MS);
  });

  it("are closed when they show no sign of life", async () => {
    const { info } = await start({ session: { pingInterval: 3 } });
    const silent = await Client.join(info.url, mint(), { autoPong: false });
    const alive = await Client.join(info.url, mint({ user: "bob" }));
    expect(await silent.closed).toMatchObject({ code: 1006 });
    expect(alive.socket.readyState).toBe(alive.socket.OPEN);
    expect(await metric(info, "culvert_signaling_refused_total", 'reason="silent"')).toBe(1);
  });
});

describe("hostile clients", () => {
  it("are closed for a message over 64 KiB, before it is read", async () => {
    const { info } = await start();
    const client = await Client.join(info.url);
    client.socket.send("x".repeat(65_537));
    expect(await client.closed).toMatchObject({ code: 1009 });
    expect(await metric(info, "culvert_signaling_refused_total", 'reason="too_large"')).toBe(1);
  });

  it.each([
    ["deep nesting", "[".repeat(60_000), 4400, "bad_message"],
    ["deep objects", '{"a":'.repeat(12_000), 4400, "bad_message"],
    ["garbage", "\u0000\uffff", 4400, "bad_message"],
  ])("are closed for %s", async (_name, text, code, reason) => {
    const { info } = await start();
    const client = await Client.join(info.url);
    client.socket.send(text);
    expect(await client.closed).toEqual({ code, reason });
    expect(await metric(info, "culvert_signaling_refused_total", `reason="${reason}"`)).toBe(1);
  });

  it("are closed for binary messages and for text that is no UTF-8", async () => {
    const { info } = await start();
    const binary = await Client.join(info.url);
    binary.socket.send(Buffer.from([1, 2, 3]));
    expect(await binary.closed).toMatchObject({ code: 1003 });
    const broken = await Client.join(info.url);
    broken.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    expect(await broken.closed).toMatchObject({ code: 1007 });
  });

  it("are closed for a forged from", async () => {
    const { info } = await start();
    const alice = await Client.join(info.url, mint({ user: "alice" }));
    const bob = await Client.join(info.url, mint({ user: "bob" }));
    alice.send("ice.restart", {}, { to: "bob", from: bob.hello.address });
    expect(await alice.closed).toEqual({ code: 4403, reason: "forged_from" });
    expect(bob.of("ice.restart")).toEqual([]);
    expect(await metric(info, "culvert_signaling_refused_total", 'reason="forged_from"')).toBe(1);
  });

  it("are closed for a flood of messages, and of pings; others go on", async () => {
    const { info } = await start();
    const bystander = await Client.join(info.url, mint({ user: "bob" }));
    const flood = await Client.join(info.url);
    for (let index = 0; index < 2000; index++) flood.send("presence.set", { status: "x" });
    expect(await flood.closed).toEqual({ code: 4429, reason: "flood" });
    const pings = await Client.join(info.url);
    for (let index = 0; index < 100; index++) pings.socket.ping();
    expect(await pings.closed).toMatchObject({ code: 1008 });
    bystander.send("ping", {});
    await bystander.next("pong");
    expect(await metric(info, "culvert_signaling_refused_total", 'reason="flood"')).toBe(1);
  });

  it("end as slow consumers when they read nothing", async () => {
    const { info } = await start({ limits: { messageBurst: 2000 } });
    const alice = await Client.join(info.url, mint({ user: "alice" }));
    const bob = await Client.join(info.url, mint({ user: "bob" }));
    for (let index = 0; index < 257; index++) bob.send("ice.restart", {}, { to: "alice" });
    expect(await alice.closed).toEqual({ code: 4413, reason: "slow_consumer" });
    expect((await bob.next("error")).data).toMatchObject({ code: "peer_unavailable", re: 257 });
    expect(await metric(info, "culvert_signaling_outbox_overflows_total")).toBe(1);
  });
});
