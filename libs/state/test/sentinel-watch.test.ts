import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchSentinels } from "../src/redis/sentinel-watch.ts";

const SUBSCRIBE = "*2\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n";
const SUBSCRIBED = "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n";
const SWITCHED = "culvert 127.0.0.1 1 127.0.0.1 2";
const TOLD = `*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$${SWITCHED.length}\r\n${SWITCHED}\r\n`;
const PATIENCE = { timeout: 45_000, interval: 5 };

/** Connections of a Sentinel that says what the test wants it to. */
let connections: { readonly socket: Socket; heard: string }[];
let switches: string[];
let stop: () => void;
const server = createServer((socket) => {
  const connection = { socket, heard: "" };
  connections.push(connection);
  socket.on("error", () => {}).on("data", (data) => (connection.heard += data.toString()));
});

beforeEach(async () => {
  connections = [];
  switches = [];
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const sentinel = { host: "127.0.0.1", port, protocol: 2, disableClientInfo: true, retryStrategy: () => 1 } as const;
  stop = watchSentinels([sentinel], "culvert", (to) => switches.push(to));
});
afterEach(async () => {
  stop();
  for (const { socket } of connections) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

/** The connection of this number, once it has asked for what is told. */
async function asked(index: number): Promise<Socket> {
  await vi.waitFor(() => expect(connections[index]?.heard).toBe(SUBSCRIBE), PATIENCE);
  const socket = connections[index]?.socket;
  if (socket === undefined) throw new Error(`there is no connection ${index}`);
  return socket;
}

test("a Sentinel that was lost is asked again, and heard again", async () => {
  (await asked(0)).end(SUBSCRIBED);
  (await asked(1)).write(SUBSCRIBED + TOLD);
  await vi.waitFor(() => expect(switches).toEqual(["127.0.0.1:2"]), PATIENCE);
});

test.each([0, 1])(
  "an end while a Sentinel has not answered is no fault of the process (connection %i)",
  async (last) => {
    const faults: unknown[] = [];
    const keep = (fault: unknown): void => void faults.push(fault);
    process.on("unhandledRejection", keep);
    try {
      if (last === 1) (await asked(0)).end(SUBSCRIBED);
      const closed = once(await asked(last), "close");
      stop();
      await closed;
      // The client sees the end of its connection in a turn of its own.
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    } finally {
      process.off("unhandledRejection", keep);
    }
    expect(faults).toEqual([]);
  },
);
