import {
  createNatsBus,
  createNatsUsageLog,
  type NatsBus,
  USAGE_STREAM,
  type UsageEvent,
  UsageTotals,
} from "@culvert/events";
import { describeUsageLogContract, usageEvent } from "@culvert/events/contract";
import { type NatsServer, startNats, tcpSwitch } from "@culvert/testkit";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterEach, expect, it } from "vitest";

/** The test's own time limit is to be the one that counts. */
const PATIENCE_MS = 45_000;
const WAIT = { timeout: PATIENCE_MS, interval: 20 };
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describeUsageLogContract("nats", async () => {
  const server = await startNats({ jetStream: true });
  const buses: NatsBus[] = [];
  return {
    async open() {
      const bus = await openBus(server);
      buses.push(bus);
      return createNatsUsageLog(bus);
    },
    async dispose() {
      for (const bus of buses) await bus.close();
      await server.dispose();
    },
  };
});

async function openBus(server: NatsServer): Promise<NatsBus> {
  const bus = createNatsBus({ servers: [server.server] });
  await bus.untilUp(PATIENCE_MS);
  return bus;
}

async function world() {
  const server = await startNats({ jetStream: true });
  closers.push(() => server.dispose());
  const open = async () => {
    const bus = await openBus(server);
    closers.push(() => bus.close());
    return bus;
  };
  const bus = await open();
  const log = createNatsUsageLog(bus);
  closers.push(() => log.close());
  const stream = async () => {
    const { connection } = (await open()).link;
    if (connection === undefined) throw new Error("not connected");
    return { connection, info: await (await jetstreamManager(connection)).streams.info(USAGE_STREAM) };
  };
  return { server, bus, log, open, stream };
}

const turns = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, count));

it("loses nothing and stores nothing twice when the server dies in mid-stream, and again", async () => {
  const { server, log, stream } = await world();
  const sent: UsageEvent[] = [];
  const send = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      const number = sent.length;
      const event = usageEvent(Math.floor(number / 50), { allocation: `a${number % 50}` });
      sent.push(event);
      log.append(event);
      // Some are on their way, some wait, when the server dies.
      if (index % 100 === 0) await turns(1);
    }
  };
  for (let round = 0; round < 3; round++) {
    await send(1000);
    const dying = server.stop();
    await send(500);
    await dying;
    await send(500);
    expect(log.stats().waiting).toBeGreaterThan(0);
    await server.start();
  }
  expect(await log.flush(PATIENCE_MS)).toBe(true);
  expect(log.stats()).toEqual({ waiting: 0, stored: sent.length, dropped: 0, up: true });
  expect((await stream()).info.state.messages).toBe(sent.length);

  const totals = new UsageTotals();
  const seen = new Set<string>();
  await log.follow({ name: "billing" }, (event) => {
    seen.add(`${event.allocation} ${event.sequence}`);
    totals.add(event);
  });
  await expect.poll(() => seen.size, WAIT).toBe(sent.length);
  expect(totals.get("a7")).toMatchObject({ packetsToPeers: sent.length / 50 - 1 });
});

it("stores once what was stored and not acknowledged, and is sent again", async () => {
  const { server, stream } = await world();
  const line = await tcpSwitch(server.port);
  closers.push(() => line.close());
  const bus = createNatsBus({ servers: [`127.0.0.1:${line.port}`], pingIntervalMs: 500 });
  closers.push(() => bus.close());
  const log = createNatsUsageLog(bus);
  closers.push(() => log.close());
  log.append(usageEvent(0));
  expect(await log.flush(PATIENCE_MS)).toBe(true);
  line.set("deaf");
  for (let sequence = 1; sequence <= 100; sequence++) log.append(usageEvent(sequence));
  await expect.poll(async () => (await stream()).info.state.messages, WAIT).toBe(101);
  expect(log.stats()).toMatchObject({ waiting: 100, stored: 1 });
  await expect.poll(() => bus.health().up, WAIT).toBe(false);
  line.set("open");
  expect(await log.flush(PATIENCE_MS)).toBe(true);
  expect(log.stats()).toMatchObject({ waiting: 0, stored: 101, dropped: 0 });
  expect((await stream()).info.state.messages).toBe(101);
});

it("goes on following after an outage, and brings what was not acknowledged again", async () => {
  const { server, log } = await world();
  const seen: number[] = [];
  await log.follow({ name: "billing" }, ({ sequence }) => void seen.push(sequence));
  log.append(usageEvent(0));
  await expect.poll(() => seen, WAIT).toEqual([0]);
  await server.stop();
  log.append(usageEvent(1));
  await server.start();
  await expect.poll(() => [...new Set(seen)], WAIT).toEqual([0, 1]);
});

it("may be opened before the server is there", async () => {
  const server = await startNats({ jetStream: true });
  closers.push(() => server.dispose());
  await server.stop();
  const bus = createNatsBus({ servers: [server.server] });
  closers.push(() => bus.close());
  const log = createNatsUsageLog(bus);
  closers.push(() => log.close());
  const seen: number[] = [];
  await log.follow({ name: "billing" }, ({ sequence }) => void seen.push(sequence));
  log.append(usageEvent(0));
  expect(await log.flush(1)).toBe(false);
  expect(log.stats()).toMatchObject({ waiting: 1, up: false, reason: expect.any(String) });
  await server.start();
  await expect.poll(() => seen, WAIT).toEqual([0]);
});

it("drops the oldest interims, and counts them, when more wait than it may hold", async () => {
  const { server, bus } = await world();
  const log = createNatsUsageLog(bus, { limit: 10 });
  closers.push(() => log.close());
  await server.stop();
  await expect.poll(() => bus.health().up, WAIT).toBe(false);
  for (let number = 0; number < 5; number++) log.append(usageEvent(0, { allocation: `a${number}` }));
  for (let sequence = 1; sequence <= 20; sequence++) log.append(usageEvent(sequence, { allocation: "a0" }));
  log.append(usageEvent(21, { allocation: "a0", kind: "stop", reason: "expired" }));
  expect(log.stats()).toMatchObject({ waiting: 10, dropped: 16 });
  await server.start();
  expect(await log.flush(PATIENCE_MS)).toBe(true);
  const totals = new UsageTotals();
  await log.follow({ name: "billing" }, (event) => void totals.add(event));
  await expect.poll(() => totals.get("a0")?.stopped, WAIT).toBe("expired");
  expect(totals.get("a0")).toMatchObject({ packetsToPeers: 21, bytesToClient: 4200 });
  expect(totals.sum("acme").allocations).toBe(5);
});

it("says why events wait where the server has no JetStream, and stores them once it has", async () => {
  const plain = await startNats();
  closers.push(() => plain.dispose());
  const bus = await openBus(plain);
  closers.push(() => bus.close());
  const log = createNatsUsageLog(bus);
  closers.push(() => log.close());
  log.append(usageEvent(0));
  await expect.poll(() => log.stats().reason, WAIT).toMatch(/jetstream/i);
  expect(log.stats()).toMatchObject({ waiting: 1, dropped: 0, up: false });
  await plain.stop();
  const able = await startNats({ jetStream: true, port: plain.port });
  closers.push(() => able.dispose());
  expect(await log.flush(PATIENCE_MS)).toBe(true);
});

it("makes its stream again when the server lost its files", async () => {
  const { server, log, stream } = await world();
  log.append(usageEvent(0));
  expect(await log.flush(PATIENCE_MS)).toBe(true);
  await server.dispose();
  await server.start();
  log.append(usageEvent(1));
  expect(await log.flush(PATIENCE_MS)).toBe(true);
  expect((await stream()).info.state.messages).toBe(1);
});

it("passes over what is no event, and reports it", async () => {
  const { log, stream } = await world();
  log.append(usageEvent(0));
  expect(await log.flush(PATIENCE_MS)).toBe(true);
  const { connection } = await stream();
  for (const text of ["", "{", "null", '{"v":2}', JSON.stringify({ ...usageEvent(1), bytesToPeers: -1 })]) {
    await jetstream(connection).publish("culvert.usage.x", text);
  }
  log.append(usageEvent(2));
  const errors: string[] = [];
  log.onError((error) => errors.push(String(error)));
  const seen: number[] = [];
  await log.follow({ name: "billing" }, ({ sequence }) => void seen.push(sequence));
  await expect.poll(() => seen, WAIT).toEqual([0, 2]);
  expect(errors).toHaveLength(5);
  expect(errors[0]).toContain("culvert.usage.x");
});
