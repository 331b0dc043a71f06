import { writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { TurnClient } from "@culvert/turn-client";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { Child, run } from "../support/child.ts";
import { temporaryFolder } from "../support/cleanup.ts";
import { eventually } from "../support/eventually.ts";
import { type Platform, startPlatform } from "../support/platform.ts";
import { CULVERT } from "../support/repo.ts";

// Relays and allocations as an operator sees and ends them: through the command, of a running platform.

const PEERS = { allow: ["127.0.0.0/8"], dangerouslyAllow: ["127.0.0.0/8"] };

let platform: Platform;
let access: readonly string[];

beforeAll(async () => {
  platform = await startPlatform({ relay: { peers: { dangerouslyAllow: PEERS.dangerouslyAllow } } });
  const { endpoint, token } = platform.ready.admin;
  access = ["--endpoint", endpoint, "--token", token];
});

afterEach(() => platform.closeClients());

const culvert = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  run(process.execPath, [CULVERT, ...args], { timeoutMs: 60_000, env });

/** What a command prints with --json. */
async function answer(...args: string[]) {
  const { code, stdout, stderr } = await culvert([...args, ...access, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

async function clientOf(user: string): Promise<TurnClient> {
  const client = await platform.connect("udp", await platform.issue({ user }));
  await client.allocate();
  return client;
}

const lines = (text: string): readonly string[] => text.trimEnd().split("\n");

test("the command that culvert up prints shows its allocations", async () => {
  await clientOf("carol");
  const [, command = ""] = /^ {2}(node .*culvert\.js allocations .*)$/m.exec(platform.process.stdout) ?? [];
  const { code, stdout } = await run("sh", ["-c", command], { timeoutMs: 60_000 });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ID .*\n\S+ .*carol/);
});

describe("culvert relays", () => {
  test("shows the relay to people", async () => {
    await clientOf("alice");
    const { code, stdout, stderr } = await culvert(["relays", ...access]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [head, row, ...more] = lines(stdout);
    expect(head).toMatch(/^RELAY +STATE +ALLOCATIONS +CAPACITY +LOAD +SLOTS +UP +ADDRESSES$/);
    expect(row).toMatch(
      new RegExp(`^${hostname()} +serving +1 +\\d+ +0 % +0 +\\d+\\w* +127\\.0\\.0\\.1:${platform.ready.turn.port}`),
    );
    expect(more).toEqual([]);
  });

  test("and to programs", async () => {
    expect(await answer("relays")).toEqual({
      relays: [
        {
          identity: hostname(),
          state: "serving",
          startedAt: expect.any(Number),
          allocations: expect.any(Number),
          capacity: 2000,
          turn: expect.arrayContaining([{ ip: "127.0.0.1", port: platform.ready.turn.port }]),
          slots: [],
        },
      ],
    });
  });

  test("takes endpoint and token from the ready file, and from the environment", async () => {
    const { endpoint, token } = platform.ready.admin;
    const file = join(await temporaryFolder(), "ready.json");
    await writeFile(file, JSON.stringify(platform.ready));
    const variables = { CULVERT_ADMIN_ENDPOINT: endpoint, CULVERT_ADMIN_TOKEN: token };
    const attempts = [
      culvert(["relays", "--ready-file", file]),
      culvert(["relays"], { CULVERT_READY_FILE: file }),
      culvert(["relays"], variables),
    ];
    for (const attempt of attempts) expect(await attempt).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("culvert allocations", () => {
  test("lists, by tenant, user and relay, with traffic and times", async () => {
    for (const user of ["alice", "bob", "bob"]) await clientOf(user);
    const { code, stdout } = await culvert(["allocations", ...access]);
    expect(code).toBe(0);
    const [head = "", ...rows] = lines(stdout);
    expect(head).toMatch(/^ID +RELAY +TENANT +USER +VIA +CLIENT +RELAYED +AGE +LEFT +SENT +RECEIVED$/);
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row).toMatch(
        /^[\w-]{16} +\S+ +default +(alice|bob) +udp +127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+ +\d+m?\d*s? +\d+m\d*s? +0 B +0 B$/,
      );
      expect(row).toHaveLength(head.length);
    }
    const ofBob = await answer("allocations", "--user", "bob");
    expect(ofBob).toMatchObject({ more: false, allocations: [{ user: "bob" }, { user: "bob" }] });
    expect((await answer("allocations", "--tenant", "nobody")).allocations).toEqual([]);
    expect((await answer("allocations", "--relay", hostname(), "--tenant", "default")).allocations).toHaveLength(3);
    const { stdout: some, stderr } = await culvert(["allocations", "--limit", "2", ...access]);
    expect(lines(some)).toHaveLength(3);
    expect(stderr).toBe("culvert: more than 2; --limit shows more\n");
    expect(await answer("allocations", "--limit", "2")).toMatchObject({ more: true, allocations: [{}, {}] });
  });

  test("show tells all of one, kill ends it", async () => {
    const client = await clientOf("alice");
    await client.createPermission(["127.0.0.1"]);
    const { allocations } = await answer("allocations", "--user", "alice");
    const { id } = allocations[0];
    const { stdout } = await culvert(["allocations", "show", id, ...access]);
    expect(stdout).toMatch(/^user +alice$/m);
    expect(stdout).toMatch(/^permission +127\.0\.0\.1, \d+m/m);
    expect(await answer("allocations", "show", id)).toMatchObject({ allocation: { id, user: "alice" } });
    expect(await culvert(["allocations", "kill", id, ...access])).toEqual({
      code: 0,
      stdout: `ended ${id}\n`,
      stderr: "",
    });
    expect((await answer("allocations", "--user", "alice")).allocations).toEqual([]);
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
    for (const word of ["show", "kill"]) {
      const { code, stdout: nothing, stderr } = await culvert(["allocations", word, id, ...access]);
      expect({ code, nothing }).toEqual({ code: 1, nothing: "" });
      expect(stderr).toMatch(new RegExp(`^culvert: \\S+: there is no allocation ${id}\\n$`));
    }
  });

  test("watch prints what is there and every change, until SIGINT", async () => {
    await clientOf("alice");
    const words = ["allocations", "watch", ...access];
    const people = new Child(process.execPath, [CULVERT, ...words]);
    const programs = new Child(process.execPath, [CULVERT, ...words, "--user", "bob", "--json"]);
    await people.until("it printed", ({ stdout }) => (stdout.includes("exists") ? true : undefined), 60_000);
    await programs.until("it printed", ({ stdout }) => (stdout.includes("snapshot") ? true : undefined), 60_000);
    const bob = await clientOf("bob");
    const { id } = (await answer("allocations", "--user", "bob")).allocations[0];
    await bob.createPermission(["127.0.0.1"]);
    await bob.refresh(0);
    for (const child of [people, programs]) {
      await child.until("the end", ({ stdout }) => (stdout.includes("deleted") ? true : undefined), 60_000);
      expect(await child.stop("SIGINT")).toEqual({ code: 0, signal: null });
      expect(child.stderr).toBe("");
    }
    const changes = lines(programs.stdout).map((line) => JSON.parse(line));
    expect(changes.map(({ type }) => type)).toEqual(["snapshot", "created", "refreshed", "deleted"]);
    expect(changes.at(-1)).toMatchObject({ reason: "refresh", allocation: { id, user: "bob" } });
    expect(people.stdout).toMatch(/ exists {5}[\w-]{16} .*default\/alice/);
    expect(people.stdout).toMatch(new RegExp(` deleted {4}${id} .*default/bob .*\\(refresh\\)`));
  });
});

describe("culvert drain", () => {
  test("has the relay refuse new allocations and keep those it has, undrain takes it back", async () => {
    const old = await clientOf("alice");
    const drained = await culvert(["drain", hostname(), ...access]);
    expect(drained).toEqual({ code: 0, stdout: `${hostname()} drains; it has 1 allocation\n`, stderr: "" });
    await expect(clientOf("bob")).rejects.toMatchObject({ code: 508 });
    expect(await old.refresh()).toBeGreaterThan(0);
    expect(await answer("relays")).toMatchObject({ relays: [{ state: "draining" }] });
    expect(await answer("undrain", hostname())).toMatchObject({ relay: { state: "serving" } });
    await eventually("a new allocation", () => clientOf("bob"));
  });
});

describe("what goes wrong ends in one line", () => {
  const refused = async (args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await culvert(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(lines(stderr)).toHaveLength(1);
    return stderr;
  };

  test.each(["relays", "allocations", "allocations watch", "allocations kill x", "drain x"])(
    "culvert %s",
    async (words) => {
      const command = words.split(" ");
      const { endpoint } = platform.ready.admin;
      expect(await refused([...command, "--endpoint", "127.0.0.1:9", "--token", "t"])).toMatch(
        /^culvert: 127\.0\.0\.1:9: unreachable/,
      );
      expect(await refused([...command, "--endpoint", endpoint])).toMatch(/not authenticated/);
      expect(await refused(command)).toMatch(/--endpoint: missing/);
    },
  );

  test("an unknown relay, a bad endpoint, a wrong option", async () => {
    expect(await refused(["drain", "relay-of-nobody", ...access])).toMatch(/there is no relay relay-of-nobody/);
    expect(await refused(["relays", "--endpoint", "http://x"])).toMatch(/must be host:port/);
    expect(await refused(["relays", "--ca", "/nowhere", ...access])).toMatch(/--ca: \/nowhere: cannot be read/);
    const { code, stderr } = await culvert(["allocations", "--limit", "0", ...access]);
    expect(code).toBe(2);
    expect(lines(stderr)).toHaveLength(1);
  });
});
