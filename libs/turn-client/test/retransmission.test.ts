import { Attr, attribute } from "@culvert/stun";
import { TurnError } from "@culvert/turn-client";
import { expect, test } from "vitest";
import { connect, ManualTimers, ScriptedServer } from "./support.ts";

const mapped = [attribute(Attr.XorMappedAddress, { ip: "192.0.2.1", port: 7000 })];

test("over UDP a request is sent seven times in the intervals of RFC 8489 section 6.2.1, then times out", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers });
  const failure = client.binding().catch((error: unknown) => error);

  const first = await server.next();
  for (const wait of [500, 1000, 2000, 4000, 8000, 16_000]) {
    timers.advance(wait - 1);
    expect(server.untaken).toBe(0);
    timers.advance(1);
    expect((await server.next()).bytes).toEqual(first.bytes);
  }
  timers.advance(7999);
  expect(timers.pending).toBe(1);
  timers.advance(1);

  const error = await failure;
  expect(error).toBeInstanceOf(TurnError);
  expect(error).toMatchObject({ kind: "timeout", step: "Binding", code: undefined });
  expect(timers.pending).toBe(0);
});

test("a response ends the retransmissions", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers });
  const binding = client.binding();
  await server.next();
  timers.advance(500);
  (await server.next()).reply({ attributes: mapped });
  expect(await binding).toEqual({ ip: "192.0.2.1", port: 7000 });
  expect(timers.pending).toBe(0);
});

test("over TCP a request is sent once and waits for 39.5 seconds", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.tcp();
  const client = await connect(server, { timers });
  const failure = client.binding().catch((error: unknown) => error);
  await server.next();
  expect(timers.pending).toBe(1);
  timers.advance(39_499);
  expect(timers.pending).toBe(1);
  timers.advance(1);
  expect(await failure).toMatchObject({ kind: "timeout", reason: "no answer within 39500 ms" });
  expect(server.untaken).toBe(0);
});

test("timeoutMs ends a transaction earlier", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers, timeoutMs: 700 });
  const failure = client.binding().catch((error: unknown) => error);
  timers.advance(700);
  expect(await failure).toMatchObject({ message: "Binding: no answer within 700 ms" });
});

test("a response to another transaction does not count", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers });
  const binding = client.binding();
  const request = await server.next();
  const forged = Uint8Array.from(request.bytes);
  forged[0] = 0x01;
  forged[19] = (forged[19] ?? 0) ^ 1;
  request.send(forged);
  request.reply({ attributes: mapped });
  expect(await binding).toEqual({ ip: "192.0.2.1", port: 7000 });
});
