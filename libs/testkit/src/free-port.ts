import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const PORTS = { min: 10_240, max: 20_000 };
const ATTEMPTS = 5;

/**
 * A port of 127.0.0.1 that nothing has just now. It is below those that the kernel gives to whoever asks for any, so that it is
 * still free when a server that ended starts again; and it has a cluster's second port beside it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.min, PORTS.max);
    if (await isFree(port)) return port;
  }
}

/** Starts a server on a free port, and on another one where somebody else has taken that meanwhile. */
export async function onFreePort(start: (port: number) => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt === ATTEMPTS || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
