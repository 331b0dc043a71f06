import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Stage } from "./stage.ts";

/**
 * - `pass`: as if it were not there
 * - `cut`: nothing comes through and nothing is refused, as when a cable is pulled
 * - `refuse`: connections end at once, as when the process is gone
 */
type Mode = "pass" | "cut" | "refuse";

/** TCP between one process and a server, which can be slowed down or cut. */
export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  #mode: Mode = "pass";
  #delayMs = 0;

  static async open(stage: Stage, target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: false });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy = new TcpProxy(server, target);
    stage.atEnd(() => proxy.close());
    return proxy;
  }

  private constructor(server: Server, target: { readonly host: string; readonly port: number }) {
    this.#server = server;
    const address = server.address();
    this.port = typeof address === "object" ? (address?.port ?? 0) : 0;
    server.on("connection", (near) => this.#connect(near, target));
  }

  /** Each way takes this much longer, in milliseconds. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  set(mode: Mode): void {
    this.#mode = mode;
    for (const { near, far } of this.#pairs) {
      if (mode === "refuse") {
        near.destroy();
        far.destroy();
      } else if (mode === "cut") {
        near.pause();
        far.pause();
      } else {
        near.resume();
        far.resume();
      }
    }
  }

  async close(): Promise<void> {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #connect(near: Socket, target: { readonly host: string; readonly port: number }): void {
    near.on("error", () => {});
    if (this.#mode === "refuse") {
      near.destroy();
      return;
    }
    const far = connect(target.port, target.host);
    far.on("error", () => near.destroy());
    const pair = { near, far };
    this.#pairs.add(pair);
    const forward = (from: Socket, to: Socket): void => {
      from.setNoDelay(true);
      from.on("data", (chunk) => {
        if (this.#delayMs === 0) to.write(chunk);
        else setTimeout(() => to.destroyed || to.write(chunk), this.#delayMs);
      });
      from.on("close", () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    };
    forward(near, far);
    forward(far, near);
    if (this.#mode === "cut") {
      near.pause();
      far.pause();
    }
  }
}
