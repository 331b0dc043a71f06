import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { Attr, attribute, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { TurnError } from "@culvert/turn-client";
import { afterEach, beforeAll, expect, test } from "vitest";
import { restAccount } from "../support/account.ts";
import { relayBothWays } from "../support/arrivals.ts";
import { eventually } from "../support/eventually.ts";
import { total } from "../support/metrics.ts";
import { type Platform, startPlatform } from "../support/platform.ts";
import { freeRange } from "../support/ports.ts";

// What the RFC answers to what is wrong, the counter that tells the operator, and that the server goes on.

const SECRET = "a secret shared with the application";
/** Ports for one client of a test and the two that show that the server goes on. */
const PORTS = 4;

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({
    relay: {
      ports: await freeRange(PORTS),
      addresses: ["127.0.0.1"],
      dataPlane: { streamFrameMs: 500 },
    },
    credential: { staticAuthSecrets: [SECRET] },
  });
});

afterEach(async () => {
  await platform.closeClients();
  // Whatever the test did: new clients are served.
  await relayBothWays(await platform.connect("udp"), await platform.connect("tcp"));
  await platform.closeClients();
});

/** Expects that `attempt` moves a counter of the relay. */
async function moves(
  name: string,
  labels: Readonly<Record<string, string>>,
  attempt: () => Promise<void>,
): Promise<void> {
  const before = total(await platform.metrics("relay"), name, labels);
  await attempt();
  await eventually(`${name} ${JSON.stringify(labels)} moves`, async () =>
    total(await platform.metrics("relay"), name, labels) > before ? true : undefined,
  );
}

async function failure(attempt: Promise<unknown>): Promise<TurnError> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof TurnError) return error;
  throw new Error(`expected an error response, got ${error}`);
}

const REQUESTS = "culvert_relay_requests_total";
const AUTH_FAILURES = "culvert_relay_auth_failures_total";

test("a wrong password is answered with 401", async () => {
  await moves(REQUESTS, { method: "Allocate", code: "401" }, () =>
    moves(AUTH_FAILURES, {}, async () => {
      const { username } = await platform.issue();
      const client = await platform.connect("udp", { username, password: "wrong" });
      expect(await failure(client.allocate())).toMatchObject({ code: 401, step: "Allocate" });
    }),
  );
});

test("a username that has expired is answered with 401", async () => {
  await moves(AUTH_FAILURES, {}, async () => {
    const now = Math.floor(Date.now() / 1000);
    const valid = await platform.connect("udp", restAccount(SECRET, now + 60));
    await valid.allocate();
    const expired = await platform.connect("udp", restAccount(SECRET, now - 1));
    expect(await failure(expired.allocate())).toMatchObject({ code: 401, step: "Allocate" });
  });
});

test("a stale nonce is answered with 438 and a nonce that works", async () => {
  await moves(REQUESTS, { method: "Refresh", code: "438" }, async () => {
    const client = await platform.connect("udp");
    await client.allocate();
    const nonce = client.nonce ?? "";
    // The same nonce with one character of its signature changed: neither expired nor ours.
    const forged = `${nonce.slice(0, -1)}${nonce.endsWith("A") ? "B" : "A"}`;
    const error = await failure(client.request(Method.Refresh, [], { nonce: forged, retry: false }));
    expect(error).toMatchObject({ code: 438, step: "Refresh" });
    expect(await client.refresh()).toBeGreaterThan(0);
  });
});

test("a denied peer is answered with 403, and gets nothing", async () => {
  const canary = createSocket("udp4");
  canary.bind(0, "127.0.0.1");
  await once(canary, "listening");
  const heard: string[] = [];
  canary.on("message", (message) => heard.push(message.toString()));
  const peer = { ip: "127.0.0.1", port: canary.address().port };
  try {
    const client = await platform.connect("udp");
    const { relayed } = await client.allocate();
    await moves("culvert_relay_peers_denied_total", { method: "CreatePermission" }, async () => {
      expect(await failure(client.createPermission(["169.254.169.254"]))).toMatchObject({ code: 403 });
    });
    await moves("culvert_relay_peers_denied_total", { method: "ChannelBind" }, async () => {
      expect(await failure(client.channelBind(peer))).toMatchObject({ code: 403, step: "ChannelBind" });
    });
    // The own relayed address is a peer. Its permission is by address and must not open other ports of that address.
    await client.createPermission([relayed.ip]);
    for (const text of ["one", "two", "three"]) client.send(peer, Buffer.from(text));
    await client.binding();
    expect(heard).toEqual([]);
  } finally {
    canary.close();
  }
});

test("a full port range is answered with 508, and the ports are free again afterwards", async () => {
  await moves(REQUESTS, { method: "Allocate", code: "508" }, async () => {
    for (let i = 0; i < PORTS; i++) await (await platform.connect("udp")).allocate();
    const late = await platform.connect("udp");
    expect(await failure(late.allocate())).toMatchObject({ code: 508, step: "Allocate" });
  });
});

test("a truncated packet is dropped and counted", async () => {
  await moves("culvert_relay_data_plane_dropped_total", { reason: "malformed" }, async () => {
    const client = await platform.connect("udp");
    const software = attribute(Attr.Software, "truncated");
    const transactionId = new Uint8Array(12).fill(7);
    const bytes = encodeMessage({
      method: Method.Allocate,
      class: MessageClass.Request,
      transactionId,
      attributes: [software],
    });
    client.sendRaw(bytes.subarray(0, bytes.length - 4));
    client.sendRaw(bytes.subarray(0, 10));
    await client.binding();
  });
});

test("a claim of 64 KiB in ChannelData over TCP is waited for in vain, and the connection closed", async () => {
  await moves("culvert_relay_data_plane_dropped_total", { reason: "stream-idle" }, async () => {
    const { host, port } = platform.ready.turn;
    const socket = connectTcp(port, host);
    await once(socket, "connect");
    const closed = once(socket, "close");
    socket.on("error", () => {});
    socket.resume();
    socket.write(Buffer.from("4000ffff", "hex"));
    socket.write(Buffer.alloc(1000));
    await closed;
  });
});

test("bytes that are no STUN close a TCP connection", async () => {
  await moves("culvert_relay_data_plane_dropped_total", { reason: "stream-framing" }, async () => {
    const { host, port } = platform.ready.turn;
    const socket = connectTcp(port, host);
    await once(socket, "connect");
    const closed = once(socket, "close");
    socket.on("error", () => {});
    socket.resume();
    socket.write(Buffer.alloc(64, 0xff));
    await closed;
  });
});
