import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "@culvert/config";
import { relayConfigSchema } from "@culvert/relay-service";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { main } from "../../src/main.ts";

const SECRET = `it's a "secret" of $HOME \\ north`;
const PASSWORD = "pass: word #1";
const FILE = `# Ours
listening-ip=192.0.2.5
external-ip=198.51.100.5
min-port=50000
max-port=50999
static-auth-secret=${SECRET}
realm=example.org
denied-peer-ip=192.168.0.0-192.168.255.255
cert=/etc/ssl/turn.pem
pkey=/etc/ssl/turn.key
max-bps=64000
cli-password=hush
relm=typo
`;

let folder: string;
let out: string;
let err: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "culvert-import-"));
  [out, err] = ["", ""];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true });
});

const path = (name: string): string => join(folder, name);

/** Runs the command on a file of that text. */
async function importFile(text: string, ...words: readonly string[]): Promise<number> {
  writeFileSync(path("turnserver.conf"), text);
  await main(["import-coturn", ...words, path("turnserver.conf")]);
  return Number(process.exitCode ?? 0);
}

describe("a culvert.yaml", () => {
  it("is accepted by the relay, and holds the secrets", async () => {
    expect(await importFile(FILE, "--format", "culvert", "--output", path("culvert.yaml"))).toBe(3);
    expect(out).toBe("");
    const config = loadConfig(relayConfigSchema, { section: "relay", env: {}, file: path("culvert.yaml") });
    expect(config).toMatchObject({
      realm: "example.org",
      addresses: [{ ip: "192.0.2.5", external: "198.51.100.5" }],
      ports: { min: 50_000, max: 50_999 },
      auth: { secrets: [SECRET] },
      peers: { deny: ["192.168.0.0/16"] },
      limits: { maxBps: 64_000 },
    });
    expect(statSync(path("culvert.yaml")).mode & 0o777).toBe(0o600);
  });

  it("leaves the secrets to variables, which shells and the relay read", async () => {
    const users = `user=alice:${PASSWORD}\nuser=bob:it's\n`;
    await importFile(users, "--format", "culvert", "--output", path("c.yaml"), "--secrets", path("c.env"));
    expect(readFileSync(path("c.yaml"), "utf8")).not.toContain("word");
    expect(readFileSync(path("c.yaml"), "utf8")).toContain("CULVERT_RELAY_AUTH_USERS");
    expect(statSync(path("c.env")).mode & 0o777).toBe(0o600);
    const [, name = "", value = ""] = /^(\w+)='([^'\n]*)'\n$/.exec(readFileSync(path("c.env"), "utf8")) ?? [];
    const { auth } = loadConfig(relayConfigSchema, { section: "relay", env: { [name]: value }, file: path("c.yaml") });
    expect(auth.users).toEqual([
      { username: "alice", password: PASSWORD, tenant: "default" },
      { username: "bob", password: "it's", tenant: "default" },
    ]);
  });

  it("names the line of each key", async () => {
    await importFile(FILE, "--format", "culvert");
    expect(out).toContain("  # turnserver.conf:7: realm=example.org\n  realm: example.org\n");
  });
});

describe("values for the chart", () => {
  it("have the secrets in a Secret", async () => {
    expect(await importFile(FILE, "--secrets", path("secret.yaml"), "--secret-name", "turn")).toBe(3);
    expect(out).not.toContain("it's a");
    expect(parse(out)).toEqual({
      relay: {
        listeners: {
          udp: { enabled: true, port: 3478 },
          tcp: { enabled: true, port: 3478 },
          tls: { enabled: true, port: 5349 },
        },
        externalAddress: { ipv4: "198.51.100.5" },
        ports: { min: 50_000, max: 50_999 },
        realm: "example.org",
        peers: { deny: ["192.168.0.0/16"] },
        config: { limits: { maxBps: 64_000 } },
      },
      tls: { existingSecret: "turn-tls" },
      credential: { staticAuth: { existingSecret: "turn", key: "static-auth-secrets" } },
    });
    const secret = parse(readFileSync(path("secret.yaml"), "utf8"));
    expect(secret).toMatchObject({ kind: "Secret", metadata: { name: "turn" } });
    expect(parse(secret.stringData["static-auth-secrets"])).toEqual([SECRET]);
  });

  it("come with the Secret behind them when nothing says where it goes", async () => {
    await importFile("user=alice:a\nno-udp\n");
    const [values, secret] = parseAllDocuments(out).map((document) => document.toJS());
    expect(values.relay.listeners).toEqual({ udp: { enabled: false }, tcp: { enabled: true, port: 3478 } });
    expect(values.relay.extraEnv).toEqual([
      {
        name: "CULVERT_RELAY_AUTH_USERS",
        valueFrom: { secretKeyRef: { name: "culvert-coturn", key: "relay-users.yaml" } },
      },
    ]);
    expect(parse(secret.stringData["relay-users.yaml"])).toEqual([{ username: "alice", password: "a" }]);
  });
});

describe("what is said", () => {
  it("names each line that is not in the result, without what is secret", async () => {
    await importFile(FILE);
    const file = path("turnserver.conf");
    expect(err.split("\n")).toEqual([
      `${file}:12: cli-password=(secret): no equivalent. There is no telnet interface. Nearest: relay.grpc with a token, and culvert relays, allocations, drain.`,
      `${file}:13: relm=(secret): is not an option of coturn's`,
      "12 settings: 9 taken over, 1 not needed, 1 without an equivalent, 1 that cannot be read",
      "",
    ]);
    expect(out).not.toContain("hush");
  });

  it("is nothing but the sum, and exit code 0, when all is in it", async () => {
    expect(await importFile("realm=example.org\nlt-cred-mech\nuser=alice:a\n")).toBe(0);
    expect(err).toBe("3 settings: 2 taken over, 1 not needed, 0 without an equivalent, 0 that cannot be read\n");
  });

  it("is what the relay says against the result", async () => {
    expect(await importFile("listening-port=50000\n", "--format", "culvert")).toBe(3);
    expect(err).toContain("not accepted as it is: relay.listeners[0].port: 50000: must be outside of relay.ports");
  });

  it("is exit code 1 for a file that is not there, 2 for wrong words", async () => {
    await main(["import-coturn", path("none.conf")]);
    expect(process.exitCode).toBe(1);
    expect(err).toBe(`culvert: ${path("none.conf")}: cannot be read (ENOENT)\n`);
    await main(["import-coturn", "--format", "xml", path("none.conf")]);
    expect(process.exitCode).toBe(2);
    expect(out).toBe("");
  });
});
