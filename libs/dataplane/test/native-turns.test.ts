import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createNativeDataPlane, type DataPlaneEvent } from "@culvert/dataplane";
import { Attr, attribute, encodeMessage, MessageClass, Method, TransportProtocol } from "@culvert/stun";
import { describe, expect, onTestFinished, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";
import { POLLING } from "./contract/world.ts";

const FLOOD = 1000;
/** Of each kind, at once. */
const TURN = 128;
/** As many as the smallest of buffers takes while no thread has its turn. */
const CHUNK = 50;
const PATIENCE_MS = 15_000;

const request = (): Uint8Array =>
  encodeMessage({
    method: Method.Allocate,
    class: MessageClass.Request,
    transactionId: randomBytes(12),
    attributes: [attribute(Attr.RequestedTransport, TransportProtocol.Udp)],
  });

async function start() {
  const plane = createNativeDataPlane({ clock: Date.now, workers: 1 });
  onTestFinished(() => plane.close());
  const { local } = await plane.listen({ id: 0, transport: "udp", local: { ip: "127.0.0.1", port: 0 } });
  const batches: (readonly DataPlaneEvent[])[] = [];
  plane.onEvents((events) => batches.push(events));
  const client = async () => {
    const socket = createSocket("udp4");
    onTestFinished(() => void socket.close());
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    socket.connect(local.port, local.ip);
    await once(socket, "connect");
    return socket;
  };
  /** Holds the event loop until the threads have seen so many messages, handed up or dropped. */
  const seen = (count: number): void => {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const { slowPath, dropped } = plane.counters();
      if (slowPath + dropped.repeated === count) return;
      if (performance.now() > end) throw new Error(`${slowPath} and ${dropped.repeated} instead of ${count}`);
    }
  };
  /** Sends requests, no faster than the threads take them. */
  const flood = (socket: Socket, requests: readonly Uint8Array[]): void => {
    for (const [index, bytes] of requests.entries()) {
      socket.send(bytes);
      if ((index + 1) % CHUNK === 0) seen(index + 1);
    }
    seen(requests.length);
  };
  const taken = () => batches.flat().flatMap((event) => (event.type === "client-input" ? event : []));
  return { plane, batches, client, flood, seen, taken };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.runIf(loadBinding().ok)("the native data plane", () => {
  test("hands a flood of requests up in turns, in the order of their arrival, and others have theirs in between", async () => {
    const { client, flood, batches, taken } = await start();
    const socket = await client();
    const requests = Array.from({ length: FLOOD }, request);
    flood(socket, requests);
    let turns = 0;
    while (taken().length < FLOOD) {
      await turn();
      turns += 1;
    }
    expect(Math.max(...batches.map(({ length }) => length))).toBe(TURN);
    expect(turns).toBeGreaterThanOrEqual(Math.floor(FLOOD / TURN));
    const bytes = taken().map((event) => Buffer.from(event.bytes).toString("hex"));
    expect(bytes).toEqual(requests.map((one) => Buffer.from(one).toString("hex")));
  });

  test("hands clients up that have a relay before newcomers", async () => {
    const { plane, client, flood, seen, batches } = await start();
    const [newcomer, known] = [await client(), await client()];
    const { address: ip, port } = known.address();
    const owner = { listener: 0, remote: { ip, port } };
    plane.apply([
      { type: "bind", relay: 1, local: { ip: "127.0.0.1", port: 0 } },
      {
        type: "upsert",
        entry: { kind: "allocation", relay: 1, family: 4, client: owner, deadline: Date.now() + 60_000 },
      },
    ]);
    batches.length = 0;
    flood(newcomer, Array.from({ length: FLOOD }, request));
    known.send(request());
    seen(FLOOD + 1);
    while (batches.length === 0) await turn();
    expect(batches[0]?.[0]).toMatchObject({ type: "client-input", client: owner });
  });

  test("does not hand a retransmission up while the request waits, and does afterwards", async () => {
    const { plane, client, seen, taken } = await start();
    const socket = await client();
    const bytes = request();
    for (let index = 0; index < 3; index++) socket.send(bytes);
    seen(3);
    while (taken().length === 0) await turn();
    expect(taken()).toHaveLength(1);
    expect(plane.counters().dropped.repeated).toBe(2);
    socket.send(bytes);
    seen(4);
    await expect.poll(() => taken().length, POLLING).toBe(2);
  });
});
