import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 20;

/** Resolves when a server has no connections any more, after `ms` milliseconds at the latest. */
export async function connectionsEnd(server: Server, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end && (await connectionsOf(server)) > 0) await sleep(LOOK_MS);
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((error, count) => resolve(error === null ? count : 0));
  });
}
