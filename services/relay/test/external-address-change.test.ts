import { writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { bytes, inbox, startPeer, startRelay, type TestRelay } from "./harness.ts";
import { KubeApiServer } from "./kube-api.ts";
import { startMappingServer } from "./stun-server.ts";

const NODE = "/api/v1/nodes/worker-1";

const annotated = (text: string | undefined) => ({
  metadata: text === undefined ? {} : { annotations: { "culvert.io/external-address": text } },
});

async function startAt(ip: string) {
  const api = await KubeApiServer.start();
  api.put(NODE, annotated(ip));
  const externalAddress = { node: { name: "worker-1" }, kubernetes: api.section };
  const relay = await startRelay({ externalAddress });
  await expect.poll(() => api.watches).toBe(1);
  return { api, relay };
}

/** XOR-RELAYED-ADDRESS of one more allocation. */
async function relayedIp(relay: TestRelay): Promise<string> {
  const client = await relay.connect("udp");
  const { relayed } = await client.allocate();
  await client.close();
  return relayed.ip;
}

const warnings = (relay: TestRelay) =>
  relay.logs.filter(({ msg }) => msg === "external address").map(({ problem }) => problem);

it("a change of the node's annotation is told to the next Allocate, and the call under the old address goes on", async () => {
  const { api, relay } = await startAt("9.9.9.1");
  const peer = await startPeer({ ip: "127.0.0.2" });
  const call = await relay.connect("udp");
  const data = inbox(call);
  const before = await call.allocate();
  expect(before.relayed.ip).toBe("9.9.9.1");
  await call.channelBind(peer.address);

  api.put(NODE, annotated("9.9.9.2"));
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.2");

  call.send(peer.address, bytes("still"));
  expect(await data.next()).toEqual({ text: "echo:still", via: "channel" });
  expect(await call.refresh()).toBe(600);
  // The relay itself: both addresses lead here, as long as somebody has the old one.
  const other = await relay.connect("udp");
  const after = await other.allocate();
  await other.createPermission([before.relayed.ip]);
  await call.createPermission([after.relayed.ip]);
  other.send(before.relayed, bytes("hello"));
  expect(await data.next()).toEqual({ text: "hello", via: "data" });
});

it("an annotation that is taken away, private, or no address, changes nothing but for one line", async () => {
  const { api, relay } = await startAt("9.9.9.1");
  for (const [text, line] of [
    [undefined, "there is none: node worker-1 has neither the annotation"],
    ["10.0.0.1", "node worker-1 says 10.0.0.1, which is not public; 9.9.9.1 stays"],
    ["next week", "must be an IP address"],
  ] as const) {
    api.put(NODE, annotated(text));
    await expect.poll(() => warnings(relay)).toContainEqual(expect.stringContaining(line));
    api.put(NODE, { ...annotated(text), status: { conditions: [] } });
    expect(await relayedIp(relay)).toBe("9.9.9.1");
  }
  expect(warnings(relay)).toHaveLength(3);
  api.put(NODE, annotated("9.9.9.2"));
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.2");
});

it("the watch goes on after its version has expired, the connection was cut, and the API was away", async () => {
  const { api, relay } = await startAt("9.9.9.1");
  api.expire();
  await expect.poll(() => api.requests.filter((line) => line === `GET ${NODE}`).length).toBeGreaterThan(1);
  api.put(NODE, annotated("9.9.9.2"));
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.2");

  api.cut();
  api.put(NODE, annotated("9.9.9.3"));
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.3");

  api.refusal = { status: 503, message: "apiserver is shutting down" };
  api.cut();
  await expect.poll(() => warnings(relay)).toContainEqual(expect.stringContaining("503: apiserver is shutting down"));
  api.put(NODE, annotated("9.9.9.4"));
  api.refusal = undefined;
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.4");
});

it("a token that is replaced, as the kubelet does every hour, is used from the next request on", async () => {
  const { api, relay } = await startAt("9.9.9.1");
  writeFileSync(api.section.tokenFile, "the next token");
  api.token = "the next token";
  api.cut();
  api.put(NODE, annotated("9.9.9.2"));
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.2");
});

it("another answer of the STUN servers counts when it was given twice in a row", async () => {
  const server = await startMappingServer("9.9.9.1");
  const relay = await startRelay({ externalAddress: { stun: { servers: [server.name], interval: 1 } } });
  server.sees = "9.9.9.2";
  server.answers = 1;
  await expect.poll(() => server.answers).toBe(0);
  expect(await relayedIp(relay)).toBe("9.9.9.1");
  server.answers = 1;
  await expect.poll(() => relayedIp(relay)).toBe("9.9.9.2");
});

it("a relay that stops leaves no request behind", async () => {
  const { api, relay } = await startAt("9.9.9.1");
  await relay.service.stop();
  await expect.poll(() => api.watches).toBe(0);
});
