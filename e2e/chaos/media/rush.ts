import { setTimeout as sleep } from "node:timers/promises";
import type { RushReport } from "./messages.ts";
import { percentile } from "./percentile.ts";
import { RushClient, type RushClientOptions } from "./rush-client.ts";

export interface RushOptions extends Omit<RushClientOptions, "localAddress"> {
  readonly clients: number;
}

/** Sockets that are opened at once, and requests that are sent before answers are read. */
const AT_ONCE = 100;
/** How often the clients look whether a retransmission is due, in milliseconds. */
const TICK_MS = 20;

/**
 * Clients that all ask at the same moment, and ask again as RFC 8489 has it. They do little more than that, so that their own
 * work is a small part of what is measured: sockets are open before the clock starts.
 */
export class Rush {
  readonly #held: RushClient[] = [];

  async run({ clients: count, ...options }: RushOptions): Promise<RushReport> {
    const clients = Array.from(
      { length: count },
      (_, index) => new RushClient({ ...options, localAddress: `127.200.${(index >> 8) % 256}.${index % 256}` }),
    );
    for (let index = 0; index < count; index += AT_ONCE) {
      await Promise.all(clients.slice(index, index + AT_ONCE).map((client) => client.open()));
    }
    const cpu = process.cpuUsage();
    const start = performance.now();
    for (const [index, client] of clients.entries()) {
      client.allocate(performance.now());
      if (index % AT_ONCE === AT_ONCE - 1) await new Promise(setImmediate);
    }
    await settled(clients);
    const wallMs = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    const granted = clients.flatMap(({ outcome }) => (outcome?.kind === "granted" ? outcome.ms : []));
    const refused: Record<string, number> = {};
    for (const client of clients) {
      const { outcome } = client;
      if (outcome?.kind === "granted") this.#held.push(client);
      else {
        const cause = String(outcome?.kind === "refused" ? outcome.code : "timeout");
        refused[cause] = (refused[cause] ?? 0) + 1;
        client.close();
      }
    }
    return {
      granted: granted.length,
      refused,
      p50Ms: percentile(granted, 0.5),
      p99Ms: percentile(granted, 0.99),
      maxMs: Math.max(0, ...granted),
      retransmissions: clients.reduce((sum, { retransmissions }) => sum + retransmissions, 0),
      busy: (user + system) / 1000 / wallMs,
    };
  }

  /** Gives everything back. */
  async calm(): Promise<void> {
    const held = this.#held.splice(0);
    while (held.length > 0) {
      const some = held.splice(0, 2 * AT_ONCE);
      for (const client of some) client.release(performance.now());
      await settled(some);
      for (const client of some) client.close();
    }
  }
}

/** Sends again what is due until each client has its answer, or has given up. */
async function settled(clients: readonly RushClient[]): Promise<void> {
  let waiting = clients;
  while (waiting.length > 0) {
    await sleep(TICK_MS);
    const now = performance.now();
    waiting = waiting.filter((client) => client.tend(now));
  }
}
