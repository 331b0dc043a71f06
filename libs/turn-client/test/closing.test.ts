import { Attr, attribute, Method } from "@culvert/stun";
import { expect, test } from "vitest";
import { allocated, connect, ManualTimers, ScriptedServer, signature } from "./support.ts";

test("close ends the allocation", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  await allocated(server, client);
  const closed = client.close();
  const request = await server.next();
  expect(request.message.method).toBe(Method.Refresh);
  expect(request.message.get(Attr.Lifetime)).toBe(0);
  request.reply({ attributes: [attribute(Attr.Lifetime, 0)], integrity: signature() });
  await closed;
  expect(client.allocation).toBeUndefined();
});

test("close waits two seconds at most for a server that does not answer", async () => {
  const timers = new ManualTimers();
  const server = await ScriptedServer.udp();
  const client = await connect(server, { timers });
  await allocated(server, client);
  const closed = client.close();
  await server.next();
  timers.advance(2000);
  await closed;
});

test("close fails the requests that wait, and all later ones", async () => {
  const server = await ScriptedServer.udp();
  const client = await connect(server);
  const failure = client.binding().catch((error: unknown) => error);
  await server.next();
  await client.close();
  expect(await failure).toMatchObject({ kind: "closed", step: "Binding" });
  await expect(client.allocate()).rejects.toMatchObject({ kind: "closed", step: "Allocate" });
  expect(() => client.send({ ip: "192.0.2.7", port: 1 }, new Uint8Array(1))).toThrow("closed");
  await client.close();
});

test("a server that closes the connection fails the requests that wait and is reported to onClose", async () => {
  const server = await ScriptedServer.tcp();
  const client = await connect(server);
  const report = new Promise((resolve) => client.onClose(resolve));
  const failure = client.binding().catch((error: unknown) => error);
  await server.next();
  server.disconnect();
  expect(await report).toMatchObject({ kind: "closed" });
  expect(await failure).toMatchObject({ kind: "closed", step: "Binding" });
});

test("a stream that is not STUN closes the connection", async () => {
  const server = await ScriptedServer.tcp();
  const client = await connect(server);
  const report = new Promise((resolve) => client.onClose(resolve));
  client.binding().catch(() => undefined);
  (await server.next()).send(Buffer.from("220 mail.example.org ESMTP\r\n"));
  expect(await report).toMatchObject({ kind: "protocol", reason: /not-stun/ });
});
