import {
  grpcKeySource,
  KeyServiceService,
  type KeySourceOptions,
  serverCredentials,
  toWatchKeysResponse,
  type WatchKeysRequest,
  type WatchKeysResponse,
} from "@culvert/contracts";
import type { KeyUpdate, KeyWatch, SigningKey } from "@culvert/credentials";
import { Server, type ServerWritableStream } from "@grpc/grpc-js";
import { afterEach, expect, it } from "vitest";

type Call = ServerWritableStream<WatchKeysRequest, WatchKeysResponse>;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A key service that says what the test wants it to. */
async function serve(onCall: (call: Call, count: number) => void, port = 0): Promise<{ port: number; stop(): void }> {
  const server = new Server();
  let count = 0;
  server.addService(KeyServiceService, { watchKeys: (call: Call) => onCall(call, count++) });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, serverCredentials(undefined), (error, at) =>
      error === null ? resolve(at) : reject(error),
    );
  });
  const stop = (): void => server.forceShutdown();
  closing.push(stop);
  return { port: bound, stop };
}

const key = (kid: string): SigningKey => ({ tenant: "acme", kid, secret: new Uint8Array([1]), state: "active" });
const snapshot = (revision: bigint, ...kids: string[]): KeyUpdate => ({
  revision,
  snapshot: { keys: kids.map(key), revocations: [] },
});
const added = (revision: bigint, kid: string): KeyUpdate => ({
  revision,
  change: { type: "key-changed", key: key(kid) },
});
const tell = (call: Call, ...updates: KeyUpdate[]): void => {
  for (const update of updates) call.write(toWatchKeysResponse(update));
};

function follow(
  port: number,
  options: Partial<KeySourceOptions> = {},
): { watch: KeyWatch; told: string[]; lost: string[] } {
  const told: string[] = [];
  const lost: string[] = [];
  const source = grpcKeySource({
    target: `127.0.0.1:${port}`,
    watcher: "test",
    backoff: { minMs: 5, maxMs: 20 },
    logger: { info: () => {}, warn: (fields) => lost.push("reason" in fields ? String(fields.reason) : "") },
    ...options,
  });
  const watch = source.watch({
    onSnapshot: ({ keys }, revision) => told.push(`${revision} = ${keys.map(({ kid }) => kid).join(" ")}`),
    onChange: (change, revision) => told.push(`${revision} ${change.type}`),
  });
  closing.push(() => watch.close());
  return { watch, told, lost };
}

it("hands on the snapshot and the changes after it", async () => {
  const names: string[] = [];
  const { port } = await serve((call) => {
    names.push(call.request.watcher);
    tell(call, snapshot(7n, "a"), added(8n, "b"), {
      revision: 9n,
      change: { type: "key-removed", tenant: "acme", kid: "a" },
    });
  });
  const { watch, told } = follow(port);
  await watch.ready;
  await expect.poll(() => told).toEqual(["7 = a", "8 key-changed", "9 key-removed"]);
  expect(names).toEqual(["test"]);
  expect(watch.connected()).toBe(true);
});

it("asks again when the stream ends, and takes the new snapshot", async () => {
  const { port } = await serve((call, count) => {
    tell(call, snapshot(BigInt(count), `k${count}`));
    if (count < 2) call.end();
  });
  const { watch, told, lost } = follow(port);
  await watch.ready;
  await expect.poll(() => told).toEqual(["0 = k0", "1 = k1", "2 = k2"]);
  expect(lost).toEqual(["the service ended the stream", "the service ended the stream"]);
});

it.each([
  ["a revision is missing", [snapshot(1n, "a"), added(3n, "b")]],
  ["a change comes before the snapshot", [added(1n, "b")]],
  [
    "a key has no secret",
    [
      snapshot(1n, "a"),
      { revision: 2n, change: { type: "key-changed", key: { ...key("b"), secret: new Uint8Array() } } },
    ],
  ],
] satisfies [string, KeyUpdate[]][])("asks again when %s, and hands on nothing of it", async (_, updates) => {
  const { port } = await serve((call, count) => tell(call, ...(count === 0 ? updates : [snapshot(9n, "z")])));
  const { told } = follow(port);
  await expect.poll(() => told.at(-1)).toBe("9 = z");
  expect(told.filter((line) => line.includes("key-changed"))).toEqual([]);
});

it("steps over a kind of change that it does not know", async () => {
  const { port } = await serve((call) => {
    tell(call, snapshot(1n, "a"));
    call.write({ revision: 2n, change: undefined, trace: "" });
    tell(call, added(3n, "b"));
  });
  const { told, lost } = follow(port);
  await expect.poll(() => told).toEqual(["1 = a", "3 key-changed"]);
  expect(lost).toEqual([]);
});

it("asks again when the snapshot does not come in time", async () => {
  const { port } = await serve((call, count) => {
    if (count > 0) tell(call, snapshot(1n, "a"));
  });
  const { watch, lost } = follow(port, { snapshotTimeoutMs: 300 });
  await watch.ready;
  expect(lost).toContain("no snapshot in time");
});

it("starts before its server does, and waits longer and longer", async () => {
  const probe = await serve(() => {});
  probe.stop();
  const delays: number[] = [];
  const { watch } = follow(probe.port, {
    random: () => 1,
    logger: {
      info: () => {},
      warn: (fields) => delays.push("retryInMs" in fields ? Number(fields.retryInMs) : Number.NaN),
    },
  });
  await expect.poll(() => delays.length).toBeGreaterThan(4);
  expect(delays.slice(0, 4)).toEqual([5, 10, 20, 20]);
  expect(watch.connected()).toBe(false);
  await serve((call) => tell(call, snapshot(1n, "a")), probe.port);
  await watch.ready;
  expect(watch.connected()).toBe(true);
});

it("presents its token", async () => {
  const seen: unknown[] = [];
  const { port } = await serve((call) => {
    seen.push(...call.metadata.get("authorization"));
    tell(call, snapshot(1n));
  });
  await follow(port, { credentials: { token: "a-shared-token" } }).watch.ready;
  expect(seen).toEqual(["Bearer a-shared-token"]);
});

it("is silent once it is closed", async () => {
  const calls: Call[] = [];
  const { port } = await serve((call) => {
    calls.push(call);
    tell(call, snapshot(1n, "a"));
  });
  const { watch, told } = follow(port);
  await watch.ready;
  watch.close();
  watch.close();
  for (const call of calls) tell(call, added(2n, "b"));
  await expect.poll(() => calls.every((call) => call.cancelled)).toBe(true);
  expect(told).toEqual(["1 = a"]);
  expect(watch.connected()).toBe(false);

  const unreachable = follow(1);
  unreachable.watch.close();
  await expect(unreachable.watch.ready).rejects.toThrow("the key watch was closed before its first snapshot");
});
