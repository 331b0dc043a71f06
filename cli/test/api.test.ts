import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { issueCredentials } from "../src/api.ts";

let server: Server | undefined;
afterEach(() => server?.close());

async function serve(listener: RequestListener): Promise<string> {
  const started = createServer(listener);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  const address = started.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

const answer =
  (status: number, body: string): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  };

describe("asking the API for credentials", () => {
  it("asks under the key's path with the token, and returns the iceServers", async () => {
    let asked = {};
    const iceServers = [{ urls: ["turn:192.0.2.1"], username: "u", credential: "c" }];
    const apiUrl = await serve((request, response) => {
      asked = { method: request.method, url: request.url, authorization: request.headers.authorization };
      answer(201, JSON.stringify({ iceServers }))(request, response);
    });
    expect(await issueCredentials({ apiUrl: `${apiUrl}/`, keyId: "a/b", token: "t" }, { ttl: 60 })).toEqual(iceServers);
    expect(asked).toEqual({
      method: "POST",
      url: "/v1/turn/keys/a%2Fb/credentials/generate-ice-servers",
      authorization: "Bearer t",
    });
  });

  it.each([
    [401, '{"errors":[{"code":1,"message":"wrong token"}]}', /: 401 wrong token$/],
    [429, '{"error":{"code":"slow_down","message":"later"}}', /: 429 later$/],
    [502, "<html>", /: 502 Bad Gateway$/],
    [200, '{"other":1}', /: the answer has no iceServers$/],
  ])("turns a %i with %s into one line", async (status, body, message) => {
    const apiUrl = await serve(answer(status, body));
    await expect(issueCredentials({ apiUrl, keyId: "k", token: "t" }, { ttl: 60 })).rejects.toThrow(message);
  });

  it("names the API that does not answer", async () => {
    const apiUrl = await serve(answer(200, ""));
    await new Promise((resolve) => server?.close(resolve));
    await expect(issueCredentials({ apiUrl, keyId: "k", token: "t" }, { ttl: 60 })).rejects.toThrow(
      `${apiUrl}: no answer (connect ECONNREFUSED`,
    );
  });
});
