import { Attr, attribute, Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { allocated, connect, errorReply, ManualTimers, ScriptedServer, signature } from "./support.ts";

const peer = { ip: "192.0.2.7", port: 9000 };

test("keepAlive refreshes the allocation a minute before its end, again and again", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers, keepAlive: true });
  await allocated(server, client);

  timers.advance(539_999);
  expect(server.untaken).toBe(0);
  timers.advance(1);
  const first = await server.next();
  expect(first.message.method).toBe(Method.Refresh);
  const seen = new Promise<void>((resolve) => client.onFrame(() => setImmediate(resolve)));
  first.reply({ attributes: [attribute(Attr.Lifetime, 100)], integrity: signature() });
  await seen;
  timers.advance(50_000);
  expect((await server.next()).message.method).toBe(Method.Refresh);
});

test("keepAlive renews channels, and the permissions that no channel covers", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers, keepAlive: true });
  await allocated(server, client);
  const work = [client.channelBind(peer), client.createPermission([peer.ip, "192.0.2.8"])];
  for (const _ of work) (await server.next()).reply({ integrity: signature() });
  await Promise.all(work);

  timers.advance(240_000);
  const renewals = [await server.next(), await server.next()];
  const [bind, permission] = renewals.map(({ message }) => message);
  expect(bind?.method).toBe(Method.ChannelBind);
  expect(bind?.get(Attr.ChannelNumber)).toBe(0x4000);
  expect(permission?.method).toBe(Method.CreatePermission);
  expect(permission?.getAll(Attr.XorPeerAddress).map(({ ip }) => ip)).toEqual(["192.0.2.8"]);
});

test("a refused renewal is reported to onError", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers, keepAlive: true });
  await allocated(server, client);
  const report = new Promise((resolve) => client.onError(resolve));
  timers.advance(540_000);
  (await server.next()).reply(errorReply(437));
  expect(await report).toMatchObject({ code: 437, step: "Refresh" });
});

test("keepAlive asks again when the server cannot be reached, until the allocation has ended", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers, keepAlive: true, timeoutMs: 1000 });
  await allocated(server, client);
  const nextError = (): Promise<unknown> =>
    new Promise((resolve) => {
      const stop = client.onError((error) => {
        stop();
        setImmediate(() => resolve(error));
      });
    });

  timers.advance(540_000);
  // A minute is left, of which each attempt takes two seconds and the second that it waits for an answer.
  for (let attempt = 0; attempt < 30; attempt++) {
    expect((await server.next()).message.method).toBe(Method.Refresh);
    const failure = nextError();
    timers.advance(500);
    await server.next();
    timers.advance(500);
    expect(await failure).toMatchObject({ kind: "timeout", step: "Refresh" });
    timers.advance(2000);
  }
  timers.advance(600_000);
  expect(server.untaken).toBe(0);
});

test("keepAlive goes on when the server is back", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers, keepAlive: true, timeoutMs: 400 });
  await allocated(server, client);
  const failed = new Promise((resolve) => client.onError((error) => setImmediate(() => resolve(error))));
  timers.advance(540_000);
  await server.next();
  timers.advance(400);
  expect(await failed).toMatchObject({ kind: "timeout" });
  timers.advance(2000);
  const seen = new Promise<void>((resolve) => client.onFrame(() => setImmediate(resolve)));
  (await server.next()).reply({ attributes: [attribute(Attr.Lifetime, 600)], integrity: signature() });
  await seen;
  timers.advance(540_000);
  expect((await server.next()).message.method).toBe(Method.Refresh);
});

test("without keepAlive nothing is sent", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers });
  await allocated(server, client);
  expect(timers.pending).toBe(0);
});
