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

test("without keepAlive nothing is sent", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers });
  await allocated(server, client);
  expect(timers.pending).toBe(0);
});
