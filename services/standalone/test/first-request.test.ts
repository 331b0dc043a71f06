import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { issueFirst } from "../src/first-request.ts";

const ACCESS = { keyId: "first", token: "a token" };
const iceServers = [{ urls: ["stun:192.0.2.1:3478"] }];

/** An API that answers each request by the next of these, and the last one again and again. */
async function api(...answers: readonly RequestListener[]): Promise<{ readonly url: string; asked(): number }> {
  let asked = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    request.resume();
    answer?.(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return { url: `http://127.0.0.1:${port}`, asked: () => asked };
}

const issues: RequestListener = (_, response) => void response.writeHead(201).end(JSON.stringify({ iceServers }));
const tooLate: RequestListener = (_, response) => void response.writeHead(408, { connection: "close" }).end("late");
const hangsUp: RequestListener = (_, response) => void response.destroy();
const refuses: RequestListener = (_, response) => void response.writeHead(403).end("not yours");

it("asks again where the API has given the request up", async () => {
  const { url, asked } = await api(tooLate, hangsUp, tooLate, issues);
  expect(await issueFirst(url, ACCESS)).toEqual(iceServers);
  expect(asked()).toBe(4);
});

it("fails at once where the API refuses", async () => {
  const { url, asked } = await api(refuses, issues);
  await expect(issueFirst(url, ACCESS)).rejects.toThrow(`${url} issued no credentials: 403 not yours`);
  expect(asked()).toBe(1);
});

it("fails where the API never takes it", async () => {
  const { url, asked } = await api(tooLate);
  await expect(issueFirst(url, ACCESS)).rejects.toThrow("issued no credentials: 408 late");
  expect(asked()).toBe(10);
});
