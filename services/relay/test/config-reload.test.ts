import { createRelayClient } from "@culvert/contracts";
import { restPassword } from "@culvert/credentials";
import { nodeCrypto } from "@culvert/runtime";
import { utf8Encode } from "@culvert/stun";
import { expect, it } from "vitest";
import { bytes, failure, inbox, startPeer, startRelay, type TestRelay, USER } from "./harness.ts";

const OTHER = { username: "bob", password: "builder" };
const PEERS = ["127.0.0.0/8", "::1/128"];

/** A client in a call, which must not notice anything. */
async function callOn(relay: TestRelay, credentials: object = {}) {
  const peer = await startPeer({ ip: "127.0.0.2" });
  const client = await relay.connect("udp", credentials);
  const data = inbox(client);
  await client.allocate();
  await client.channelBind(peer.address);
  return {
    client,
    peer,
    goesOn: async (): Promise<void> => {
      client.send(peer.address, bytes("still"));
      expect((await data.next()).text).toBe("echo:still");
      expect(await client.refresh()).toBeGreaterThan(0);
    },
  };
}

const outcome = async (relay: TestRelay, credentials: object = {}): Promise<number | "ok"> => {
  const client = await relay.connect("udp", credentials);
  try {
    await client.allocate();
    return "ok";
  } catch (error) {
    return (await failure(Promise.reject(error))).code ?? 0;
  } finally {
    await client.close();
  }
};

const rest = (secret: string) => {
  const username = `${Math.floor(Date.now() / 1000) + 600}:carol`;
  return { username, password: restPassword(utf8Encode(secret), username, nodeCrypto) };
};

const keysIn = (relay: TestRelay, msg: string) => relay.logs.filter((line) => line.msg === msg).map(({ keys }) => keys);

it("static secrets rotate with two keys, and no call ends", async () => {
  const [old, next] = ["the old secret", "the new secret"];
  const relay = await startRelay({ auth: { users: [], secrets: [old] } });
  const call = await callOn(relay, rest(old));
  expect(await outcome(relay, rest(next))).toBe(401);
  relay.reconfigure({ auth: { users: [], secrets: [old, next] } });
  expect(await outcome(relay, rest(next))).toBe("ok");
  expect(await outcome(relay, rest(old))).toBe("ok");
  await call.goesOn();
  relay.reconfigure({ auth: { users: [], secrets: [next] } });
  expect(await outcome(relay, rest(old))).toBe(401);
  expect(await outcome(relay, rest(next))).toBe("ok");
  // What was allocated with the old one lives on; its refreshes need another.
  expect(relay.service.allocations()).toBe(1);
  expect(await failure(call.client.refresh())).toMatchObject({ code: 401 });
});

it("users come and go", async () => {
  const relay = await startRelay();
  const call = await callOn(relay);
  relay.reconfigure({ auth: { users: [USER, OTHER] } });
  expect(await outcome(relay, OTHER)).toBe("ok");
  relay.reconfigure({ auth: { users: [USER] } });
  expect(await outcome(relay, OTHER)).toBe(401);
  await call.goesOn();
});

it("keys of nonces rotate with two keys: no client is told that its nonce is stale", async () => {
  const [a, b] = ["the first key of nonces", "the second key of nonces"];
  const relay = await startRelay({ auth: { users: [USER], nonceKeys: [a] } });
  const call = await callOn(relay);
  const before = call.client.nonce;
  relay.reconfigure({ auth: { users: [USER], nonceKeys: [b, a] } });
  await call.goesOn();
  expect(call.client.nonce).toBe(before);
  relay.reconfigure({ auth: { users: [USER], nonceKeys: [b] } });
  // The client of a nonce that nobody knows any more gets another one, and goes on.
  await call.goesOn();
  expect(call.client.nonce).not.toBe(before);
});

it("a peer policy that is narrower cuts live permissions within a second, a wider one opens for new ones", async () => {
  const relay = await startRelay();
  const call = await callOn(relay);
  relay.reconfigure({ peers: { dangerouslyAllow: PEERS, deny: [call.peer.address.ip] } });
  expect(await failure(call.client.createPermission([call.peer.address.ip]))).toMatchObject({ code: 403 });
  const received = call.peer.received.length;
  call.client.send(call.peer.address, bytes("cut"), { via: "data" });
  await call.client.refresh();
  expect(call.peer.received).toHaveLength(received);
  relay.reconfigure({});
  await call.client.createPermission([call.peer.address.ip]);
  expect(await relay.metric("culvert_relay_peers_dangerously_allowed")).toBe(2);
  relay.reconfigure({ peers: { dangerouslyAllow: [...PEERS, "169.254.0.0/16"] } });
  expect(await relay.metric("culvert_relay_peers_dangerously_allowed")).toBe(3);
});

it("names of backends in a new policy are looked up, and their addresses denied", async () => {
  const resolver = async (host: string) => (host === "redis.example.org" ? ["9.9.9.9"] : []);
  const relay = await startRelay({}, { resolver });
  const client = await relay.connect("udp");
  await client.allocate();
  await client.createPermission(["9.9.9.9"]);
  relay.reconfigure({ peers: { dangerouslyAllow: PEERS, backends: ["redis.example.org"] } });
  await expect.poll(async () => (await failure(client.createPermission(["9.9.9.9"]))).code).toBe(403);
});

it("quotas, limits and lifetimes count from the next request on", async () => {
  const relay = await startRelay();
  const call = await callOn(relay);
  relay.reconfigure({ quotas: { user: 1 }, lifetime: { default: 60, max: 120 }, limits: { channels: 1 } });
  expect(await outcome(relay)).toBe(486);
  expect(await call.client.refresh(3600)).toBe(120);
  expect(await failure(call.client.channelBind({ ip: "127.0.0.3", port: 1 }))).toMatchObject({ code: 508 });
  await call.goesOn();
  relay.reconfigure({});
  expect(await outcome(relay)).toBe("ok");
  expect(await call.client.refresh(3600)).toBe(3600);
});

it("keys that cannot change are named in one line and stay; those that can are taken over all the same", async () => {
  const relay = await startRelay();
  const call = await callOn(relay);
  relay.reconfigure({ realm: "elsewhere", ports: { min: 50_000 }, quotas: { user: 1 }, logLevel: "debug" });
  expect(keysIn(relay, "these keys have changed and count from the next start on")).toEqual([
    ["relay.realm", "relay.ports.min"],
  ]);
  expect(keysIn(relay, "configuration changed")).toEqual([["relay.quotas.user", "relay.logLevel"]]);
  expect(await outcome(relay)).toBe(486);
  expect(call.client.realm).toBe("culvert");
  await call.goesOn();
  expect(await relay.metric("culvert_relay_reloads_total", { what: "config", outcome: "ok" })).toBe(1);
});

it("the same configuration again says nothing", async () => {
  const relay = await startRelay();
  relay.reconfigure({});
  expect(keysIn(relay, "configuration changed")).toEqual([]);
});

it("what makes no sense is named and left, all of it", async () => {
  const relay = await startRelay();
  relay.reconfigure({ peers: { allow: ["169.254.0.0/16"] }, quotas: { user: 1 } });
  relay.reconfigure({ auth: { users: [] } });
  const problems = relay.logs.filter(({ level }) => level === "error").map(({ problem }) => problem);
  expect(problems).toEqual([
    expect.stringContaining("relay.peers.allow[0]: 169.254.0.0/16: is never a peer"),
    expect.stringContaining("relay.credential.target: missing: must be set"),
  ]);
  expect(await relay.metric("culvert_relay_reloads_total", { what: "config", outcome: "failed" })).toBe(2);
  expect([await outcome(relay), await outcome(relay)]).toEqual(["ok", "ok"]);
});

it("the drain's deadline is the one that was set last", async () => {
  const relay = await startRelay({ drain: { timeout: 600 } });
  await callOn(relay);
  relay.reconfigure({ drain: { timeout: 0 } });
  await relay.service.stop();
});

it("the external address may be set anew", async () => {
  const relay = await startRelay({ externalAddress: { ipv4: "9.9.9.1" } });
  const relayed = async () => {
    const client = await relay.connect("udp");
    const { ip } = (await client.allocate()).relayed;
    await client.close();
    return ip;
  };
  expect(await relayed()).toBe("9.9.9.1");
  relay.reconfigure({ externalAddress: { ipv4: "9.9.9.2" } });
  await expect.poll(relayed).toBe("9.9.9.2");
  relay.reconfigure({ externalAddress: { ipv4: "10.0.0.1" } });
  await expect
    .poll(() => relay.logs.map(({ problem }) => problem))
    .toContainEqual(expect.stringContaining("10.0.0.1: must be a public address"));
  expect(await relayed()).toBe("9.9.9.2");
});

it("the operators' token may be set anew", async () => {
  const [old, next] = ["the operators' old token", "the operators' new token"];
  const relay = await startRelay({ grpc: { port: 0, token: old } });
  const relays = async (token: string) => {
    const client = createRelayClient({ target: `127.0.0.1:${relay.info.grpc?.port}`, credentials: { token } });
    try {
      return (await client.relays()).length;
    } catch {
      return "refused";
    } finally {
      client.close();
    }
  };
  expect([await relays(old), await relays(next)]).toEqual([1, "refused"]);
  relay.reconfigure({ grpc: { port: 0, token: next } });
  expect([await relays(old), await relays(next)]).toEqual(["refused", 1]);
});
