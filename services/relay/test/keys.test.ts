import { hasBearer, type KeyServiceServer, KeyServiceService, toWatchKeysResponse } from "@culvert/contracts";
import {
  firstSnapshot,
  type KeyChange,
  type KeySink,
  type KeySnapshot,
  type KeySource,
  type KeyUpdate,
  mintCredential,
  mintRest,
  type SigningKey,
} from "@culvert/credentials";
import { nodeCrypto } from "@culvert/testkit";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { bytes, failure, inbox, later, startPeer, startRelay } from "./harness.ts";

const KEY: SigningKey = { tenant: "acme", kid: "k1", secret: bytes("a signing secret"), state: "active" };
const nowSeconds = () => Math.floor(Date.now() / 1000);

function mint(
  user: string,
  options: { readonly ttl?: number; readonly issuedAt?: number; readonly maxAllocations?: number } = {},
) {
  const { ttl = 60, issuedAt = nowSeconds(), ...limits } = options;
  const claims = { tenant: KEY.tenant, user, issuedAt, ...limits };
  return mintCredential({ key: KEY, claims, expiresAt: nowSeconds() + ttl }, nodeCrypto);
}

/** A key source in the same process, as the standalone server has it. */
function feed() {
  const sinks: KeySink[] = [];
  const first = firstSnapshot();
  let connected = false;
  let revision = 0n;
  const source: KeySource = {
    watch: (sink) => {
      sinks.push(sink);
      return { ready: first.ready, connected: () => connected, close: () => sinks.splice(0) };
    },
  };
  return {
    source,
    snapshot: (snapshot: KeySnapshot) => {
      connected = true;
      revision += 1n;
      first.arrived();
      for (const sink of sinks) sink.onSnapshot(snapshot, revision);
    },
    change: (change: KeyChange) => {
      revision += 1n;
      for (const sink of sinks) sink.onChange(change, revision);
    },
  };
}

const noUsers = { auth: { users: [] } };

test("the relay is ready once it has keys, and then takes minted credentials", async () => {
  const keys = feed();
  const relay = await startRelay(noUsers, { keys: keys.source });
  const ready = async () =>
    (await fetch(`http://${relay.info.ops?.host}:${relay.info.ops?.port}/healthz/ready`)).status;
  expect(await ready()).toBe(503);
  keys.snapshot({ keys: [KEY], revocations: [] });
  expect(await ready()).toBe(200);
  expect(await relay.metric("culvert_relay_signing_keys")).toBe(1);
  expect(await relay.metric("culvert_relay_key_watch_connected")).toBe(1);

  const client = await relay.connect("udp", mint("bob"));
  expect((await client.allocate()).relayed.ip).toBe("127.0.0.1");
  const forged = await relay.connect("udp", { ...mint("bob"), password: mint("eve").password });
  expect(await failure(forged.allocate())).toMatchObject({ code: 401 });
});

test("what a credential claims holds: allocations at once", async () => {
  const keys = feed();
  const relay = await startRelay(noUsers, { keys: keys.source });
  keys.snapshot({ keys: [KEY], revocations: [] });
  const [first, second] = [
    await relay.connect("udp", mint("bob", { maxAllocations: 1 })),
    await relay.connect("udp", mint("bob", { maxAllocations: 1 })),
  ];
  await first.allocate();
  expect(await failure(second.allocate())).toMatchObject({ code: 486 });
});

test("a revocation of a user cuts the live allocation, and none that was issued afterwards", async () => {
  const keys = feed();
  const relay = await startRelay(noUsers, { keys: keys.source });
  keys.snapshot({ keys: [KEY], revocations: [] });
  const peer = await startPeer();
  const old = await relay.connect("udp", mint("bob", { issuedAt: nowSeconds() - 100 }));
  const fresh = await relay.connect("udp", mint("bob"));
  const other = await relay.connect("udp", mint("carol"));
  for (const client of [old, fresh, other]) {
    await client.allocate();
    await client.channelBind(peer.address);
  }
  const revocation = {
    tenant: KEY.tenant,
    subject: { kind: "user", user: "bob" },
    revokedAt: nowSeconds() - 50,
    expiresAt: nowSeconds() + 1000,
  } as const;
  keys.change({ type: "revoked", revocation });
  expect(relay.service.allocations()).toBe(2);
  expect(await relay.metric("culvert_relay_allocations_deleted_total", { reason: "revoked" })).toBe(1);

  old.send(peer.address, bytes("cut off"));
  const data = inbox(fresh);
  fresh.send(peer.address, bytes("still here"));
  expect((await data.next()).text).toBe("echo:still here");
  expect(peer.received).toEqual(["still here"]);
  expect(await failure(old.refresh())).toMatchObject({ code: expect.toBeOneOf([401, 437]) });

  // A source that reconnects tells the revocation again.
  keys.snapshot({ keys: [KEY], revocations: [revocation] });
  expect(relay.service.allocations()).toBe(2);
});

test("removing a key ends what was allocated with it", async () => {
  const keys = feed();
  const relay = await startRelay({}, { keys: keys.source });
  keys.snapshot({ keys: [KEY], revocations: [] });
  const [minted, configured] = [await relay.connect("udp", mint("bob")), await relay.connect("udp")];
  await minted.allocate();
  await configured.allocate();
  keys.change({ type: "key-removed", tenant: KEY.tenant, kid: KEY.kid });
  expect(relay.service.allocations()).toBe(1);
});

test("configured secrets live beside the keys of the source", async () => {
  const keys = feed();
  const relay = await startRelay({ auth: { secrets: ["one", "two"] } }, { keys: keys.source });
  keys.snapshot({ keys: [KEY], revocations: [] });
  for (const secret of ["one", "two"]) {
    const credential = mintRest({ secret: bytes(secret), userId: "dan", expiresAt: nowSeconds() + 60 }, nodeCrypto);
    const client = await relay.connect("udp", credential);
    expect((await client.allocate()).lifetime).toBe(600);
  }
});

test("keys come over gRPC, with the token", async () => {
  const server = new Server();
  const token = "a token of the platform";
  const update: KeyUpdate = { revision: 1n, snapshot: { keys: [KEY], revocations: [] } };
  const service: KeyServiceServer = {
    watchKeys: (call) => {
      if (!hasBearer(call.metadata, token)) call.emit("error", { code: status.UNAUTHENTICATED });
      else call.write(toWatchKeysResponse(update));
    },
  };
  server.addService(KeyServiceService, service);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  later(() => server.forceShutdown());
  const relay = await startRelay({ ...noUsers, credential: { target: `127.0.0.1:${port}`, token } });
  await expect.poll(() => relay.service.ready().ready).toBe(true);
  const client = await relay.connect("tcp", mint("bob"));
  expect((await client.allocate()).relayed.ip).toBe("127.0.0.1");
});
