import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { connectTurn } from "@culvert/turn-client";
import { expect, test } from "vitest";
import { ManualTimers } from "./support.ts";

async function listen(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return { server, port: typeof address === "object" && address ? address.port : 0 };
}

test("a port where nobody listens over TCP is unreachable", async () => {
  const { server, port } = await listen();
  server.close();
  await expect(connectTurn({ uri: `turn:127.0.0.1:${port}?transport=tcp` })).rejects.toMatchObject({
    kind: "unreachable",
    step: "connect",
    reason: /ECONNREFUSED/,
  });
});

test("a port where nobody listens over UDP fails the request, not the client", async () => {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  const client = await connectTurn({ uri: `turn:127.0.0.1:${port}` });
  await expect(client.binding()).rejects.toMatchObject({ kind: "unreachable", step: "Binding" });
  await expect(client.binding()).rejects.toMatchObject({ kind: "unreachable", step: "Binding" });
  await client.close();
});

test("a server that does not speak TLS is a failure of TLS", async () => {
  const { server, port } = await listen();
  server.on("connection", (socket) => socket.end("no TLS here\r\n"));
  await expect(connectTurn({ uri: `turns:127.0.0.1:${port}` })).rejects.toMatchObject({ kind: "tls", step: "connect" });
  server.close();
});

test("a TLS handshake that is not answered times out", async () => {
  const timers = new ManualTimers();
  const { server, port } = await listen();
  const accepted = once(server, "connection");
  const failure = connectTurn({ uri: `turns:127.0.0.1:${port}`, timers, timeoutMs: 1500 }).catch(
    (error: unknown) => error,
  );
  const [socket] = await accepted;
  timers.advance(1500);
  expect(await failure).toMatchObject({ kind: "timeout", step: "connect", reason: /within 1500 ms/ });
  socket.destroy();
  server.close();
});

test.each(["http://example.org", "turn:", "turn:host:99999"])("'%s' is not a TURN URI", async (uri) => {
  await expect(connectTurn({ uri })).rejects.toMatchObject({ kind: "argument", step: "connect" });
});

test("turns over UDP is refused", async () => {
  await expect(connectTurn({ uri: "turns:127.0.0.1?transport=udp" })).rejects.toMatchObject({ kind: "argument" });
});

test("localAddress and localPort are bound", async () => {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  const client = await connectTurn({ uri: "turn:127.0.0.1:9", localAddress: "127.0.0.1", localPort: port });
  expect(client.local).toEqual({ ip: "127.0.0.1", port });
  await client.close();
});
