import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { APP, type Running, startService } from "./service.ts";

const BODY = '{"ttl":60}';
const REQUEST = [
  "POST /v1/turn/keys/acme/credentials/generate HTTP/1.1",
  "Host: api",
  `Authorization: Bearer ${APP}`,
  "Content-Type: application/json",
  `Content-Length: ${BODY.length}`,
  "",
  BODY,
].join("\r\n");

/** A connection that has been used once and is kept open. */
async function keptOpen({ info }: Running): Promise<Socket> {
  const socket = connect(info.api.port, "127.0.0.1");
  await once(socket, "connect");
  expect(await ask(socket)).toMatch(/^HTTP\/1\.1 201 [\s\S]*connection: keep-alive/i);
  return socket;
}

async function ask(socket: Socket): Promise<string> {
  socket.write(REQUEST);
  const [answer] = await once(socket, "data");
  return String(answer);
}

it("answers requests on connections that are kept open while it drains, and closes them with the answer", async () => {
  const running = await startService({ http: { port: 0, drain: 30 } });
  const socket = await keptOpen(running);
  const ended = once(socket, "end");
  const stopped = running.service.stop();
  expect(await ask(socket)).toMatch(/^HTTP\/1\.1 201 [\s\S]*connection: close/i);
  // With the last connection the drain is over, long before its time.
  await stopped;
  await ended;
});

it("closes what is still open when the drain is over", async () => {
  const running = await startService({ http: { port: 0, drain: 0.1 } });
  const socket = await keptOpen(running);
  const closed = once(socket.resume(), "close");
  await running.service.stop();
  await closed;
});

it("closes connections at once without a drain", async () => {
  const running = await startService();
  const socket = await keptOpen(running);
  const closed = once(socket.resume(), "close");
  await running.service.stop();
  await closed;
});
