import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { run } from "../support/child.ts";
import { temporaryFolder } from "../support/cleanup.ts";
import { type Platform, startPlatform } from "../support/platform.ts";
import { CULVERT } from "../support/repo.ts";

// `culvert` as an operator has it: a process, its words, its exit code.

let platform: Platform;
let folder: string;
let access: readonly string[];

beforeAll(async () => {
  platform = await startPlatform();
  folder = await temporaryFolder();
  const { apiUrl, keyId, token } = platform.ready;
  access = ["--api-url", apiUrl, "--key-id", keyId, "--token", token];
});

const culvert = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  run(process.execPath, [CULVERT, ...args], { timeoutMs: 60_000, env });

const STACK = /\n\s+at /;

describe("culvert up", () => {
  test("--ready-file tells a program all that it needs", async () => {
    const { apiUrl, keyId, token, realm, iceServers, turn } = platform.ready;
    expect(new URL(apiUrl).protocol).toBe("http:");
    for (const text of [keyId, token, realm]) expect(text).toMatch(/\S/);
    expect(turn).toEqual({ host: "127.0.0.1", port: expect.any(Number), tlsPort: expect.any(Number) });
    expect(iceServers.flatMap(({ urls }) => urls)).toEqual([
      expect.stringMatching(/^stun:127\.0\.0\.1:/),
      platform.uri("udp"),
      platform.uri("tcp"),
      platform.uri("tls"),
    ]);
  });

  test("prints the API's URL, a token, the TURN URIs and a curl that works", async () => {
    const { stdout } = platform.process;
    const { apiUrl, token } = platform.ready;
    for (const text of [apiUrl, token, platform.uri("udp"), platform.uri("tls")]) expect(stdout).toContain(text);
    const command = /curl (?:.*\\\n)*.*/.exec(stdout)?.[0] ?? "";
    const { code, stdout: answer } = await run("/bin/sh", ["-c", `${command} --silent`], { timeoutMs: 60_000 });
    expect(code).toBe(0);
    expect(JSON.parse(answer)).toMatchObject({ iceServers: [{}, { username: expect.any(String) }] });
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s stops it cleanly, with a client connected", async (signal) => {
    const other = await startPlatform({ relay: { drain: { timeout: 0.2 } }, signaling: { drain: { timeout: 0.2 } } });
    const client = await other.connect("tcp");
    await client.allocate();
    expect(await other.process.stop(signal)).toEqual({ code: 0, signal: null });
    expect(other.process.output).not.toMatch(STACK);
    expect(other.process.stderr).toBe("");
    await client.close({ release: false });
  });
});

describe("culvert ping-turn", () => {
  test.each(["udp", "tcp", "tls"] as const)("relays to itself over %s and times each step", async (transport) => {
    const uri = platform.uri(transport);
    const { code, stdout, stderr } = await culvert(["ping-turn", uri, "--insecure", ...access]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const step of ["connect", "allocate", "permission", "channel"]) {
      expect(stdout).toMatch(new RegExp(`^\\s*${step}\\s+\\d+\\.\\d+ ms`, "m"));
    }
    expect(stdout).toContain("relays");
  });

  test("--json is one object", async () => {
    const { code, stdout } = await culvert(["ping-turn", platform.uri("udp"), "--json", ...access]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ uri: platform.uri("udp"), ok: true });
  });

  test("fails with the step, the code and the reason of the server", async () => {
    const { username } = await platform.issue();
    const words = ["ping-turn", platform.uri("udp"), "--username", username, "--password", "wrong"];
    const { code, stdout } = await culvert(words);
    expect(code).toBe(1);
    expect(stdout).toMatch(/allocate\s.*failed: 401 \S+/);
  });

  test("fails in one line where nobody listens", async () => {
    const uri = "turn:127.0.0.1:9?transport=tcp";
    const { code, stdout, stderr } = await culvert(["ping-turn", uri, "--username", "u", "--password", "p"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/connect\s.*failed: .*ECONNREFUSED/);
    expect(stderr).not.toMatch(STACK);
  });

  test("without a URI probes all that the API tells", async () => {
    const { code, stdout } = await culvert(["ping-turn", "--insecure", "--json", ...access]);
    expect(code).toBe(0);
    const reports = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const uris = (["udp", "tcp", "tls"] as const).map((transport) => platform.uri(transport));
    expect(reports).toEqual(uris.map((uri) => expect.objectContaining({ uri, ok: true })));
  });

  test("--wait tries again until the API answers and the relay relays", async () => {
    const { apiUrl, keyId, token } = platform.ready;
    let asked = 0;
    const starting = createServer((request, response) => {
      asked += 1;
      if (asked < 2) return void response.writeHead(503).end();
      const { url = "", headers } = request;
      fetch(new URL(url, apiUrl), {
        method: "POST",
        headers: { authorization: headers.authorization ?? "", "content-type": "application/json" },
        body: "{}",
      })
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
        .catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => starting.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void starting.close());
    const address = starting.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const words = ["ping-turn", platform.uri("udp"), "--key-id", keyId, "--token", token, "--wait", "30"];
    const { code, stderr } = await culvert([...words, "--api-url", `http://127.0.0.1:${port}`]);
    expect({ code, asked }).toEqual({ code: 0, asked: 2 });
    expect(stderr).toMatch(/^culvert: .* 503 .*; trying again\n$/);
  });

  test("takes the token from a file, but not from two places", async () => {
    const { apiUrl, keyId, token } = platform.ready;
    const file = join(folder, "token");
    await writeFile(file, `${token}\n`);
    const words = ["ping-turn", platform.uri("udp"), "--api-url", apiUrl, "--key-id", keyId];
    expect(await culvert(words, { CULVERT_API_TOKEN_FILE: file })).toMatchObject({ code: 0, stderr: "" });
    const both = await culvert([...words, "--token", token, "--token-file", file]);
    expect(both).toMatchObject({
      code: 1,
      stderr: "culvert: --token, --token-file: only one of the two may be given\n",
    });
    const none = await culvert([...words, "--token-file", join(folder, "none")]);
    expect(none.stderr).toMatch(/^culvert: --token-file: \S+: cannot be read \(ENOENT.*\n$/);
  });

  test("refuses what is no TURN URI", async () => {
    const { code, stderr } = await culvert(["ping-turn", "http://example.org"]);
    expect(code).toBe(2);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("culvert credentials issue", () => {
  test("prints iceServers that the relay accepts", async () => {
    const { code, stdout } = await culvert(["credentials", "issue", "--ttl", "60", "--user", "alice", ...access]);
    expect(code).toBe(0);
    const { iceServers } = JSON.parse(stdout);
    const { username, credential } = iceServers.find((server: { username?: string }) => server.username);
    const client = await platform.connect("udp", { username, password: credential });
    expect((await client.allocate()).lifetime).toBeGreaterThan(0);
    await client.close();
  });

  test("says in one line what the API refuses", async () => {
    const { apiUrl, keyId } = platform.ready;
    const words = ["--api-url", apiUrl, "--key-id", keyId, "--token", "not-the-token-of-anyone"];
    const { code, stdout, stderr } = await culvert(["credentials", "issue", ...words]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/401/);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("configuration", () => {
  test.each(["up", "relay", "stun", "signaling", "credential"])(
    "culvert %s --print-config-schema prints a JSON schema",
    async (service) => {
      const { code, stdout } = await culvert([service, "--print-config-schema"]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ type: "object", properties: expect.any(Object) });
    },
  );

  test.each([
    ["a value out of range", { relay: { ports: { min: 70_000 } } }, /relay\.ports\.min: 70000/],
    ["an unknown key", { relay: { prots: {} } }, /relay\.prots.*ports/],
    [
      "a malformed range of peers",
      { relay: { peers: { allow: ["10.0.0.0/33"] } } },
      /relay\.peers\.allow.*10\.0\.0\.0\/33/,
    ],
  ])("%s ends culvert up with one line that names the key", async (_name, document, message) => {
    const config = join(folder, "bad.yaml");
    await writeFile(config, JSON.stringify(document));
    const { code, stdout, stderr } = await culvert(["up", "--config", config]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("a bad variable is named as the variable", async () => {
    const { code, stderr } = await culvert(["relay"], { CULVERT_RELAY_PORTS_MIN: "many" });
    expect(code).toBe(2);
    expect(stderr).toMatch(/CULVERT_RELAY_PORTS_MIN/);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("a port that is taken is told in one line", async () => {
    const config = join(folder, "taken.yaml");
    const { port } = platform.ready.turn;
    const relay = { listeners: [{ transport: "tcp", ip: "127.0.0.1", port }], ops: { port: 0 } };
    await writeFile(config, JSON.stringify({ relay, credential: { http: { port: 0 }, ops: { port: 0 } } }));
    const { code, stderr } = await culvert(["up", "--config", config]);
    expect(code).toBe(2);
    expect(stderr).toContain(String(port));
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
