import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { APP, type Running, startService } from "./service.ts";

const PATH = "/v1/turn/keys/acme/credentials/generate";

async function open({ info }: Running): Promise<Socket> {
  const socket = connect(info.api.port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}
async function ended(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  socket.on("error", () => {});
  await once(socket, "close");
  return text;
}

it("refuses a body that is too large", async () => {
  const { call } = await startService({ http: { port: 0, maxBodyBytes: 1024 } });
  const answer = await call("POST", PATH, { token: APP, json: { user: "a".repeat(2000) } });
  expect(answer).toMatchObject({ status: 413, body: { errors: [{ code: 413 }] } });
});

it.each([
  ["not JSON", "application/json", "{", 400],
  ["a prototype", "application/json", '{"__proto__":{"ttl":1}}', 400],
  ["deeply nested", "application/json", "[".repeat(8000), 400],
  ["another type", "text/xml", "<ttl/>", 415],
])("refuses a body that is %s", async (_, type, body, status) => {
  const { url } = await startService();
  const headers = { authorization: `Bearer ${APP}`, "content-type": type };
  const response = await fetch(`${url}${PATH}`, { method: "POST", headers, body });
  expect(response.status).toBe(status);
  expect(await response.json()).toMatchObject({ success: false, errors: [{ code: status }] });
});

it("answers unknown routes and broken paths in its own shape", async () => {
  const { call } = await startService();
  const notFound = { error: { code: "not_found", message: "there is no such route" } };
  expect(await call("GET", "/v2/none")).toMatchObject({ status: 404, body: notFound });
  expect(await call("PUT", "/v1/tenants")).toMatchObject({ status: 404, body: notFound });
  expect(await call("GET", "/v1/tenants/%ff")).toMatchObject({ status: 400, body: { error: { code: "bad_request" } } });
});

it("closes a connection that drips its headers or its body", async () => {
  const running = await startService({ http: { port: 0, requestTimeout: 1 } });
  const headers = await open(running);
  headers.write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
  const body = await open(running);
  body.write(`POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`);
  const [first, second] = await Promise.all([ended(headers), ended(body)]);
  expect(first).toMatch(/^HTTP\/1\.1 408/);
  expect(second).toMatch(/^HTTP\/1\.1 408/);
});

it("closes connections beyond what one source may hold", async () => {
  const running = await startService({ http: { port: 0, maxConnectionsPerSource: 2 } });
  const held = [await open(running), await open(running)];
  await ended(await open(running));
  held[0]?.destroy();
  await expect
    .poll(async () => {
      const socket = await open(running);
      socket.on("error", () => {});
      socket.write("GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      return await ended(socket);
    })
    .toMatch(/^HTTP\/1\.1 200/);
  held[1]?.destroy();
});

it("gives pages of configured origins access, and no others", async () => {
  const { url } = await startService({ http: { port: 0, corsOrigins: ["https://app.example.org"] } });
  const preflight = (origin: string): Promise<Response> =>
    fetch(`${url}${PATH}`, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } });
  const allowed = await preflight("https://app.example.org");
  expect(allowed.status).toBe(204);
  expect(Object.fromEntries(allowed.headers)).toMatchObject({
    "access-control-allow-origin": "https://app.example.org",
    "access-control-allow-headers": "Authorization, Content-Type, X-Api-Key",
    vary: "Origin",
  });
  const refused = await preflight("https://evil.example.org");
  expect(refused.status).toBe(404);
  expect(refused.headers.has("access-control-allow-origin")).toBe(false);

  const headers = { authorization: `Bearer ${APP}`, origin: "https://app.example.org" };
  const answer = await fetch(`${url}${PATH}`, { method: "POST", headers });
  expect(answer.status).toBe(201);
  expect(answer.headers.get("access-control-allow-origin")).toBe("https://app.example.org");
  const error = await fetch(`${url}${PATH}`, {
    method: "POST",
    headers: { ...headers, authorization: "Bearer wrong" },
  });
  expect(error.headers.get("access-control-allow-origin")).toBe("https://app.example.org");
});

it("tells no origin anything unless configured", async () => {
  const { url } = await startService();
  const headers = { authorization: `Bearer ${APP}`, origin: "https://app.example.org" };
  const answer = await fetch(`${url}${PATH}`, { method: "POST", headers });
  expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
});
