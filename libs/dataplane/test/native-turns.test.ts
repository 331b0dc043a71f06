import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createNativeDataPlane, type DataPlaneEvent } from "@culvert/dataplane";
import { Attr, attribute, encodeMessage, MessageClass, Method, TransportProtocol } from "@culvert/stun";
import { describe, expect, onTestFinished, test } from "vitest";
import { loadBinding } from "../src/native/load.ts";

const FLOOD = 1000;
/** Of each kind, at once. */
const TURN = 128;
const SOON_MS = 5000;

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
    const end = performance.now() + SOON_MS;
    for (;;) {
      const { slowPath, dropped } = plane.counters();
      if (slowPath + dropped.repeated === count) return;
      if (performance.now() > end) throw new Error(`${slowPath} and ${dropped.repeated} instead of ${count}`);
    }
  };
  const taken = () => batches.flat().flatMap((event) => (event.type === "client-input" ? event : []));
  return { plane, batches, client, seen, taken };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.runIf(loadBinding().ok)("the native data plane", () => {
  test("hands a flood of requests up in turns, in the order of their arrival, and others have theirs in between", async () => {
    const { client, seen, batches, taken } = await start();
    const socket = await client();
    const requests = Array.from({ length: FLOOD }, request);
    for (const bytes of requests) socket.send(bytes);
    seen(FLOOD);
    let turns = 0;
    while (taken().length < FLOOD) {
      await turn();
      turns += 1;
      if (turns > FLOOD) throw new Error(`${taken().length} of ${FLOOD} after ${turns} turns`);
    }
    expect(Math.max(...batches.map(({ length }) => length))).toBe(TURN);
    expect(turns).toBeGreaterThanOrEqual(Math.floor(FLOOD / TURN));
    const bytes = taken().map((event) => Buffer.from(event.bytes).toString("hex"));
    expect(bytes).toEqual(requests.map((one) => Buffer.from(one).toString("hex")));
  });

  test("hands clients up that have a relay before newcomers", async () => {
    const { plane, client, seen, batches } = await start();
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
    for (let index = 0; index < FLOOD; index++) newcomer.send(request());
    seen(FLOOD);
    known.send(request());
    seen(FLOOD + 1);
    await turn();
    expect(batches[0]?.[0]).toMatchObject({ type: "client-input", client: owner });
  });

  test("does not hand a retransmission up while the request waits, and does afterwards", async () => {
    const { plane, client, seen, taken } = await start();
    const socket = await client();
    const bytes = request();
    for (let index = 0; index < 3; index++) socket.send(bytes);
    seen(3);
    await turn();
    expect(taken()).toHaveLength(1);
    expect(plane.counters().dropped.repeated).toBe(2);
    socket.send(bytes);
    seen(4);
    await turn();
    expect(taken()).toHaveLength(2);
  });
});
