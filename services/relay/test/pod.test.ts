import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectTurn } from "@culvert/turn-client";
import { afterAll, describe, expect, it } from "vitest";
import { bytes, inbox, later, startPeer } from "./harness.ts";
import { PROCESS_TEST_MS, RELAY_COMMAND, type RelayProcess, runRelay } from "./relay-process.ts";

const ENV: Readonly<Record<string, string>> = {
  CULVERT_RELAY_LISTENERS: "[{transport: udp, ip: 127.0.0.1, port: 0}]",
  CULVERT_RELAY_ADDRESSES: "127.0.0.1",
  // Above what the kernel picks for port 0.
  CULVERT_RELAY_PORTS_MIN: "61000",
  CULVERT_RELAY_PEERS_DANGEROUSLY_ALLOW: "127.0.0.0/8",
  CULVERT_RELAY_AUTH_USERS: "[{username: alice, password: wonderland}]",
  CULVERT_RELAY_DRAIN_TIMEOUT: "600",
};

/** What Kubernetes sets in a namespace with Services of these names, unless `enableServiceLinks` is false. */
const SERVICE_LINKS: Readonly<Record<string, string>> = {
  CULVERT_RELAY_SERVICE_HOST: "10.96.0.7",
  CULVERT_RELAY_SERVICE_PORT: "3478",
  CULVERT_RELAY_SERVICE_PORT_TURN_UDP: "3478",
  CULVERT_RELAY_PORT: "udp://10.96.0.7:3478",
  CULVERT_RELAY_PORT_3478_UDP: "udp://10.96.0.7:3478",
  CULVERT_RELAY_PORT_3478_UDP_PROTO: "udp",
  CULVERT_RELAY_PORT_3478_UDP_ADDR: "10.96.0.7",
  CULVERT_RELAY_OPS_SERVICE_HOST: "10.96.0.8",
  CULVERT_RELAY_GRPC_PORT: "tcp://10.96.0.9:9191",
};

/** In the place of a container's /tmp, under which the sources may lie here. */
const TMPDIR = mkdtempSync(join(tmpdir(), "culvert-pod-"));
afterAll(() => rmSync(TMPDIR, { recursive: true }));

/** The first process of its own namespaces, nothing to be written to but TMPDIR: a container, as far as a process can tell. */
const NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"] as const;
const PREPARE = `mount --bind / / && mount -o remount,ro,bind / && mount -t tmpfs tmpfs '${TMPDIR}' && mount -t proc proc /proc`;
const MAY_UNSHARE = spawnSync(NAMESPACES[0], [...NAMESPACES.slice(1), PREPARE]).status === 0;

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}

async function callOn({ listeners }: RelayProcess) {
  const peer = await startPeer({ ip: "127.0.0.2" });
  const uri = `turn:127.0.0.1:${listeners[0]?.port}?transport=udp`;
  const client = await connectTurn({ uri, username: "alice", password: "wonderland", timeoutMs: 30_000 });
  later(() => client.close({ release: false }));
  const data = inbox(client);
  await client.allocate();
  await client.channelBind(peer.address);
  return {
    client,
    uri,
    goesOn: async (): Promise<void> => {
      client.send(peer.address, bytes("still"));
      expect((await data.next()).text).toBe("echo:still");
      expect(await client.refresh()).toBe(600);
    },
  };
}

const status = async ({ ops }: RelayProcess, probe: "live" | "ready"): Promise<number> =>
  (await fetch(`${ops}/healthz/${probe}`)).status;

async function allocateAt(uri: string): Promise<string> {
  const client = await connectTurn({ uri, username: "alice", password: "wonderland", timeoutMs: 30_000 });
  later(() => client.close({ release: false }));
  return client.allocate().then(
    () => "ok",
    (error: { code?: number }) => String(error.code),
  );
}

describe("SIGTERM", { timeout: PROCESS_TEST_MS }, () => {
  it("drains: the probes stay as they are, the call goes on, new ones are refused, and the process ends with the call", async () => {
    const relay = await runRelay(ENV);
    const call = await callOn(relay);
    relay.child.kill("SIGTERM");
    await expect.poll(() => relay.log().some(({ msg }) => msg === "relay drains")).toBe(true);
    expect([await status(relay, "live"), await status(relay, "ready")]).toEqual([200, 200]);
    expect(await allocateAt(call.uri)).toBe("508");
    await call.goesOn();
    expect([await status(relay, "live"), await status(relay, "ready")]).toEqual([200, 200]);
    await call.client.close();
    expect(await relay.exit).toBe(0);
  });

  it("ends it at the deadline, with 0, though the call is on", async () => {
    const relay = await runRelay({ ...ENV, CULVERT_RELAY_DRAIN_TIMEOUT: "0.5" });
    await callOn(relay);
    relay.child.kill("SIGTERM");
    expect(await relay.exit).toBe(0);
    expect(relay.log().at(-1)).toMatchObject({ msg: "relay stopped", allocations: 1 });
  });

  it("a second time ends it at once, with 143", async () => {
    const relay = await runRelay(ENV);
    await callOn(relay);
    relay.child.kill("SIGTERM");
    await expect.poll(() => relay.log().some(({ msg }) => msg === "relay drains")).toBe(true);
    relay.child.kill("SIGTERM");
    expect(await relay.exit).toBe(143);
  });
});

describe.runIf(MAY_UNSHARE)(
  "as the first process of a container with a read-only root",
  { timeout: PROCESS_TEST_MS },
  () => {
    it("it serves with service links in its environment, drains on SIGTERM, takes SIGHUP, and leaves no process behind", async () => {
      const command = `${PREPARE} && exec ${quoted(RELAY_COMMAND)}`;
      const relay = await runRelay({ ...ENV, ...SERVICE_LINKS, TMPDIR }, [...NAMESPACES, command]);
      const inside = childrenOf(relay.child.pid ?? 0);
      expect(inside).toHaveLength(1);
      const [first = 0] = inside;
      // Its number inside of the namespace is the last one.
      expect(readFileSync(`/proc/${first}/status`, "utf8")).toMatch(/^NSpid:.*\s1$/m);
      const call = await callOn(relay);
      process.kill(first, "SIGHUP");
      await call.goesOn();
      process.kill(first, "SIGTERM");
      await expect.poll(() => relay.log().some(({ msg }) => msg === "relay drains")).toBe(true);
      await call.goesOn();
      expect(await status(relay, "ready")).toBe(200);
      expect(childrenOf(first)).toEqual([]);
      await call.client.close();
      expect(await relay.exit).toBe(0);
    });
  },
);

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
