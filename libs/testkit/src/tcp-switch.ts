import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export type TcpSwitchState = "open" | "cut" | "silent" | "deaf";

/** A TCP port that leads to another one until it is cut. */
export interface TcpSwitch {
  readonly port: number;
  /**
   * `cut`: open connections end and new ones are refused at once. `silent`: nothing passes any more, nothing ends. `deaf`: the
   * same for what the server says; it goes on hearing the client.
   */
  set(state: TcpSwitchState): void;
  close(): Promise<void>;
}

/** Stands between a client and a server on 127.0.0.1: what a test does to a network. */
export async function tcpSwitch(target: number): Promise<TcpSwitch> {
  const sockets = new Set<Socket>();
  let state: TcpSwitchState = "open";
  const join = (from: Socket, to: Socket, passes: ReadonlySet<TcpSwitchState>): void => {
    sockets.add(from);
    from.on("data", (data) => {
      if (passes.has(state)) to.write(data);
    });
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      if (state !== "silent" && state !== "deaf") to.destroy();
    });
  };
  const server = createServer((client) => {
    if (state === "cut") {
      client.destroy();
      return;
    }
    const upstream = connect(target, "127.0.0.1");
    join(client, upstream, new Set(["open", "deaf"]));
    join(upstream, client, new Set(["open"]));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    set(next) {
      // What came into a silent network meanwhile is lost, and with it the streams.
      const broken = next === "cut" || (state !== "open" && next === "open");
      state = next;
      if (broken) destroyAll();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      destroyAll();
      await closed;
    },
  };
}
