import { createNatsBus, type NatsBus } from "@culvert/events";
import { type NatsServer, startNats, tcpSwitch } from "@culvert/testkit";
import { afterEach, expect, it } from "vitest";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(port?: number): Promise<NatsServer> {
  const server = await startNats(port === undefined ? {} : { port });
  closers.push(() => server.dispose());
  return server;
}

function open(port: number, pingIntervalMs?: number): NatsBus {
  const bus = createNatsBus({
    servers: [`127.0.0.1:${port}`],
    ...(pingIntervalMs === undefined ? {} : { pingIntervalMs }),
  });
  closers.push(() => bus.close());
  return bus;
}

const untilDown = (bus: NatsBus): Promise<void> =>
  new Promise((resolve) => {
    if (!bus.health().up) return resolve();
    bus.onHealthChange(({ up }) => up || resolve());
  });

const nextText = async (bus: NatsBus, subject: string): Promise<() => Promise<string>> => {
  const texts: string[] = [];
  let wake = (): void => {};
  await bus.subscribe(subject, ({ data }) => {
    texts.push(Buffer.from(data).toString());
    wake();
  });
  return async () => {
    while (texts.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return texts.shift() ?? "";
  };
};

/** The test's own time limit is to be the one that counts. */
const BACK_MS = 45_000;
/** Short, for what a test waits for, yet long enough for a server that has to wait for its turn. */
const PING_MS = 500;

it("has its subscriptions again after the server is back, however often it went", async () => {
  const server = await start();
  const listening = open(server.port);
  const speaking = open(server.port);
  await Promise.all([listening.untilUp(BACK_MS), speaking.untilUp(BACK_MS)]);
  const next = await nextText(listening, "news.*");
  for (const round of ["one", "two", "three"]) {
    await server.stop();
    await Promise.all([untilDown(listening), untilDown(speaking)]);
    speaking.publish("news.x", Buffer.from("lost"));
    await server.start();
    expect(await Promise.all([listening.untilUp(BACK_MS), speaking.untilUp(BACK_MS)])).toEqual([true, true]);
    speaking.publish("news.x", Buffer.from(round));
    expect(await next()).toBe(round);
  }
});

it("may start before its server, and closes while it still tries", async () => {
  const server = await start();
  await server.stop();
  const bus = open(server.port);
  const next = await nextText(bus, "early");
  expect(bus.health()).toMatchObject({ up: false });
  await expect(bus.request("early", Buffer.from("x"))).rejects.toMatchObject({ code: "disconnected" });
  await expect(bus.flush()).rejects.toMatchObject({ code: "disconnected" });
  expect(await bus.untilUp(1)).toBe(false);
  const other = open(server.port);
  await other.close();
  expect(other.health()).toEqual({ up: false, reason: "closed" });
  await server.start();
  expect(await bus.untilUp(BACK_MS)).toBe(true);
  bus.publish("early", Buffer.from("here"));
  expect(await next()).toBe("here");
});

it("notices a network that has gone silent, and a server that hangs", async () => {
  const server = await start();
  const line = await tcpSwitch(server.port);
  closers.push(() => line.close());
  const behind = open(line.port, PING_MS);
  const direct = open(server.port);
  await Promise.all([behind.untilUp(BACK_MS), direct.untilUp(BACK_MS)]);
  const next = await nextText(behind, "x");
  line.set("silent");
  await untilDown(behind);
  expect(direct.health()).toEqual({ up: true });
  line.set("open");
  expect(await behind.untilUp(BACK_MS)).toBe(true);
  direct.publish("x", Buffer.from("back"));
  expect(await next()).toBe("back");

  server.signal("SIGSTOP");
  await untilDown(behind);
  server.signal("SIGCONT");
  expect(await behind.untilUp(BACK_MS)).toBe(true);
});

it("goes to another server of the cluster when its own is gone", async () => {
  const first = await start();
  const second = await start();
  const bus = createNatsBus({ servers: [first.server, second.server] });
  closers.push(() => bus.close());
  await bus.untilUp(BACK_MS);
  for (const [gone, other] of [
    [first, second],
    [second, first],
  ] as const) {
    await gone.stop();
    const peer = open(other.port);
    const next = await nextText(peer, "where");
    await peer.untilUp(BACK_MS);
    await expect
      .poll(
        async () => {
          bus.publish("where", Buffer.from("here"));
          return Promise.race([next(), new Promise((resolve) => setTimeout(resolve, 100, "nothing"))]);
        },
        { timeout: BACK_MS },
      )
      .toBe("here");
    await gone.start();
  }
});

it("subscribes once at the server for all handlers of a subject", async () => {
  const server = await start();
  const bus = open(server.port);
  await bus.untilUp(BACK_MS);
  const nexts = await Promise.all([nextText(bus, "shared"), nextText(bus, "shared"), nextText(bus, "shared")]);
  bus.publish("shared", Buffer.from("once"));
  expect(await Promise.all(nexts.map((next) => next()))).toEqual(["once", "once", "once"]);
  expect(bus.link.connection?.stats().inMsgs).toBe(1);
});
