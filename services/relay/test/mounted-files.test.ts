import { once } from "node:events";
import tls from "node:tls";
import { createRelayClient } from "@culvert/contracts";
import { mountVolume, testCertificate } from "@culvert/testkit";
import { connectTurn } from "@culvert/turn-client";
import { expect, it } from "vitest";
import { bytes, inbox, later, startPeer, startRelay } from "./harness.ts";
import { PROCESS_TEST_MS, runRelay } from "./relay-process.ts";

const YAML = {
  listeners: [
    { transport: "udp", ip: "127.0.0.1", port: 0 },
    { transport: "tls", ip: "127.0.0.1", port: 0 },
  ],
  addresses: ["127.0.0.1"],
  // Above what the kernel picks for port 0.
  ports: { min: 61_000 },
  peers: { dangerouslyAllow: ["127.0.0.0/8"] },
};

function mounted(files: Readonly<Record<string, string>>) {
  const volume = mountVolume(files);
  later(() => volume.dispose());
  return volume;
}

async function certificate() {
  const made = await testCertificate();
  made.dispose();
  return { "tls.crt": made.cert, "tls.key": made.key };
}

it("a relay in a pod follows its ConfigMap and its Secrets, and no call notices", {
  timeout: PROCESS_TEST_MS,
}, async () => {
  const [first, second] = [await certificate(), await certificate()];
  const config = mounted({ "culvert.yaml": JSON.stringify({ relay: YAML }) });
  const users = mounted({ users: "[{ username: alice, password: wonderland }]\n" });
  const pair = mounted(first);
  const relay = await runRelay({
    CULVERT_CONFIG: config.file("culvert.yaml"),
    CULVERT_CONFIG_CHECK_INTERVAL: "0.1",
    CULVERT_RELAY_AUTH_USERS_FILE: users.file("users"),
    CULVERT_RELAY_TLS_CERT: pair.file("tls.crt"),
    CULVERT_RELAY_TLS_KEY: pair.file("tls.key"),
    CULVERT_RELAY_TLS_CHECK_INTERVAL: "0.1",
  });
  const [udp, secure] = relay.listeners;
  const connect = async (username: string, password: string) => {
    const uri = `turn:127.0.0.1:${udp?.port}?transport=udp`;
    const client = await connectTurn({ uri, username, password, timeoutMs: 30_000 });
    later(() => client.close({ release: false }));
    return client;
  };
  const allocates = async (username: string, password: string): Promise<string> => {
    const client = await connect(username, password);
    return client.allocate().then(
      () => "ok",
      (error: { code?: number }) => String(error.code),
    );
  };
  const served = async (): Promise<string> => {
    const socket = tls.connect({ host: "127.0.0.1", port: secure?.port ?? 0, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const pem = socket.getPeerX509Certificate()?.toString() ?? "";
    socket.destroy();
    return pem.trim();
  };
  const peer = await startPeer({ ip: "127.0.0.2" });
  const call = await connect("alice", "wonderland");
  const data = inbox(call);
  await call.allocate();
  await call.channelBind(peer.address);

  expect(await allocates("bob", "builder")).toBe("401");
  users.swap({ users: "[{ username: alice, password: wonderland }, { username: bob, password: builder }]\n" });
  await expect.poll(() => allocates("bob", "builder")).toBe("ok");

  config.swap({ "culvert.yaml": JSON.stringify({ relay: { ...YAML, quotas: { user: 1 }, realm: "elsewhere" } }) });
  await expect.poll(() => allocates("alice", "wonderland")).toBe("486");
  expect(relay.log()).toContainEqual(
    expect.objectContaining({
      level: "warn",
      keys: ["relay.realm"],
      msg: "these keys have changed and count from the next start on",
    }),
  );

  expect(await served()).toBe(first["tls.crt"].trim());
  pair.swap(second);
  await expect.poll(served).toBe(second["tls.crt"].trim());

  config.swap({ "culvert.yaml": "relay: { ports: { min: 0 } }" });
  await expect.poll(() => relay.text.err).toContain("relay.ports.min: 0: must be 1 to 65535 (CULVERT_RELAY_PORTS_MIN)");
  relay.child.kill("SIGHUP");

  call.send(peer.address, bytes("still"));
  expect((await data.next()).text).toBe("echo:still");
  expect(await call.refresh()).toBe(600);
  relay.child.kill("SIGTERM");
  await call.close();
  expect(await relay.exit).toBe(0);
});

it("the operators' gRPC server follows its Secret; watches that are open go on", async () => {
  const [first, second] = [await certificate(), await certificate()];
  const pair = mounted(first);
  const token = "the-token-of-the-operators";
  const files = { cert: pair.file("tls.crt"), key: pair.file("tls.key") };
  const relay = await startRelay({ grpc: { port: 0, token, tls: files } });
  const operator = (ca: string) => {
    const target = `localhost:${relay.info.grpc?.port}`;
    const client = createRelayClient({ target, credentials: { token, tls: { ca } } });
    later(() => client.close());
    return client;
  };
  const early = operator(first["tls.crt"]);
  const over = new AbortController();
  later(() => over.abort());
  const changes: string[] = [];
  const watching = async () => {
    for await (const { type } of early.watch({}, over.signal)) changes.push(type);
  };
  void watching().catch(() => {});
  await expect.poll(() => changes).toEqual(["snapshot"]);
  pair.swap(second);
  relay.service.reload();
  expect(await operator(second["tls.crt"]).relays()).toHaveLength(1);
  await expect(operator(first["tls.crt"]).relays()).rejects.toMatchObject({ code: 14 });
  const client = await relay.connect("udp");
  await client.allocate();
  await expect.poll(() => changes).toEqual(["snapshot", "created"]);
});
