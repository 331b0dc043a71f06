import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectTurn } from "@culvert/turn-client";
import { beforeAll, describe, expect, test } from "vitest";
import { restAccount, type TurnAccount } from "../support/account.ts";
import { writeTestCertificate } from "../support/certificate.ts";
import { Child, requireProgram, run } from "../support/child.ts";
import { atEnd, temporaryFolder } from "../support/cleanup.ts";
import { startEchoPeer } from "../support/echo-peer.ts";
import { eventually, Hopeless } from "../support/eventually.ts";
import { freePorts, freeRange } from "../support/ports.ts";
import { CULVERT } from "../support/repo.ts";
import { type UclientReport, uclient } from "../support/uclient.ts";

const TURNSERVER = "/usr/bin/turnserver";
const MANUAL = "/etc/turnserver.conf";
const TIMEOUT_MS = 60_000;

/** The options that coturn's own configuration file shows, most of them as comments, and those that its usage names. */
async function optionsOfCoturn(): Promise<readonly string[]> {
  const manual = await readFile(MANUAL, "utf8");
  const usage = await run(requireProgram(TURNSERVER, "coturn"), ["-h"], { timeoutMs: TIMEOUT_MS });
  const shown = [...manual.matchAll(/^(?:# ?([A-Za-z][\w-]*)=|#?([A-Za-z][\w-]*)(?:\s+".*")?$)/gm)];
  const named = [...`${usage.stdout}${usage.stderr}`.matchAll(/^\s+(?:-\w,? +,? *)?((?:--[\w-]+(?:, )?)+)/gm)];
  const words = named.flatMap(([, list = ""]) => list.split(", ").map((word) => word.replace(/^--/, "")));
  return [...new Set([...shown.flatMap(([, set, alone]) => set ?? alone ?? []), ...words])].filter(
    (name) => name !== "",
  );
}

describe("every option of the coturn that is installed", () => {
  let names: readonly string[];

  beforeAll(async () => {
    names = await optionsOfCoturn();
  });

  test("is found", () => {
    // Some that stand alone, in the file or in the usage only, with short forms and with two names.
    expect(names).toEqual(
      expect.arrayContaining([
        ...["listening-port", "lt-cred-mech", "no-rfc5780", "prometheus", "new-log-timestamp-format", "bps-capacity"],
        ...["secure-stun", "daemon", "userdb", "db", "sql-userdb", "external-ip", "stun-only", "keep-address-family"],
      ]),
    );
    expect(names.length).toBeGreaterThan(100);
  });

  test("has its line, and none is unknown", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, "turnserver.conf");
    await writeFile(file, names.map((name) => `${name}=1\n`).join(""));
    for (const format of ["culvert", "helm"]) {
      const { code, stdout, stderr } = await culvert("import-coturn", "--format", format, file);
      expect(code).toBe(3);
      expect(stderr).not.toContain("is not an option of coturn's");
      expect(stderr).toContain(`\n${names.length} settings: `);
      for (const [index, name] of names.entries()) {
        expect(stdout).toMatch(new RegExp(`^ *# *(turnserver\\.conf:)?${index + 1}: ${name}=`, "m"));
      }
    }
  });

  test("is known by the same name where the file as it was installed is imported", async () => {
    const { code, stderr } = await culvert("import-coturn", MANUAL);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^\d+ settings: .* 0 without an equivalent, 0 that cannot be read\n$/),
    });
  });
});

const culvert = (...words: readonly string[]) => run(process.execPath, [CULVERT, ...words], { timeoutMs: TIMEOUT_MS });

interface Case {
  readonly name: string;
  readonly lines: readonly string[];
  readonly account: () => TurnAccount;
  /** Where the secrets stand. */
  readonly apart: boolean;
}

const SECRET = `it's "north"`;
const CASES: readonly Case[] = [
  {
    name: "a user with a password",
    lines: ["lt-cred-mech", "user=alice:pass: word", "user=bob:b"],
    account: () => ({ username: "alice", password: "pass: word" }),
    apart: false,
  },
  {
    name: "a secret",
    lines: ["use-auth-secret", `static-auth-secret=${SECRET}`],
    account: () => restAccount(SECRET, Math.floor(Date.now() / 1000) + 3600),
    apart: true,
  },
];

describe.each(CASES)("a file with $name", ({ lines, account, apart }) => {
  let folder: string;
  let file: string;
  let port: number;
  let tlsPort: number;
  let peer: { readonly host: string; readonly port: number };

  beforeAll(async () => {
    folder = await temporaryFolder();
    file = join(folder, "turnserver.conf");
    [port = 0, tlsPort = 0] = await freePorts(2);
    peer = { host: "127.0.0.1", port: (await startEchoPeer()).port };
    const { cert, key } = await writeTestCertificate(folder);
    const relayed = await freeRange(40);
    const network = [
      ...["listening-ip=127.0.0.1", `listening-port=${port}`, `tls-listening-port=${tlsPort}`, "relay-ip=127.0.0.1"],
      ...[`min-port=${relayed.min}`, `max-port=${relayed.max}`, "allow-loopback-peers", `cert=${cert}`, `pkey=${key}`],
    ];
    const rest = ["realm=example.org", "fingerprint", "no-cli", "cli-password=x", "no-rfc5780", "simple-log"];
    const files = [`log-file="stdout"`, `pidfile="${join(folder, "pid")}"`, `userdb=${join(folder, "db")}`];
    await writeFile(file, ["# Test", ...network, ...lines, ...rest, ...files, ""].join("\n"));
  });

  /** The same clients for both servers. */
  async function reportsOf(server: Child): Promise<readonly UclientReport[]> {
    const serves = async (): Promise<true> => {
      if (server.ended) throw new Hopeless(server.output);
      const client = await connectTurn({ uri: `turns:127.0.0.1:${tlsPort}`, tls: { rejectUnauthorized: false } });
      await client.close();
      return true;
    };
    await eventually(`${server.command} serves`, serves, TIMEOUT_MS);
    const reports = (["udp", "tcp", "tls"] as const).map((transport) => {
      const at = { host: "127.0.0.1", port: transport === "tls" ? tlsPort : port, transport };
      return uclient({ ...at, account: account(), clients: 2, messages: 10, withoutRtcp: true, peer });
    });
    return Promise.all(reports);
  }

  test("serves coturn's client in coturn", async () => {
    const server = new Child(requireProgram(TURNSERVER, "coturn"), ["-c", file], { cwd: folder });
    atEnd(() => server.stop());
    try {
      // How many coturn loses on a busy machine is not what is tested.
      for (const { sent, received } of await reportsOf(server)) {
        expect(sent).toBe(20);
        expect(received).toBeGreaterThan(0);
      }
    } finally {
      // The other test takes its ports.
      await server.stop();
    }
  });

  test("serves it in Culvert with the same credentials", async () => {
    const [config, secrets] = [join(folder, "culvert.yaml"), join(folder, "secrets.env")];
    const words = ["--format", "culvert", "--output", config, ...(apart ? ["--secrets", secrets] : [])];
    const { code, stderr } = await culvert("import-coturn", ...words, file);
    // coturn's empty database, and the password of a telnet interface that is off.
    expect({ code, left: stderr.match(/no equivalent/g)?.length }, stderr).toEqual({ code: 3, left: 2 });
    expect((await readFile(config, "utf8")).includes("north")).toBe(false);
    // As a shell takes them.
    const start = `${apart ? `set -a; . '${secrets}'; ` : ""}exec "$0" "$@"`;
    const server = new Child("/bin/sh", ["-c", start, process.execPath, CULVERT, "relay", "--config", config], {
      env: { CULVERT_RELAY_OPS_PORT: "0" },
    });
    atEnd(() => server.stop());
    expect(await reportsOf(server)).toEqual(Array(3).fill({ sent: 20, received: 20, lost: 0, dropped: 0 }));
    expect(await server.stop(), server.output).toEqual({ code: 0, signal: null });
  });
});
