import { connectTurn, type TurnClient, TurnError } from "@culvert/turn-client";
import type { StormReport } from "./messages.ts";
import { percentile } from "./percentile.ts";

export interface StormOptions {
  readonly clients: number;
  readonly parallel: number;
  readonly timeoutMs: number;
  readonly servers: readonly string[];
  readonly username: string;
  readonly password: string;
}

/** Many clients that allocate at once, and keep what they got. */
export class Storm {
  readonly #held: TurnClient[] = [];

  async run({ clients, parallel, timeoutMs, servers, username, password }: StormOptions): Promise<StormReport> {
    const granted: number[] = [];
    const refusals: number[] = [];
    const refused: Record<string, number> = {};
    const relayed: string[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < clients; index = next++) {
        const start = performance.now();
        let client: TurnClient | undefined;
        try {
          const uri = servers[index % servers.length] ?? "";
          client = await connectTurn({ uri, username, password, timeoutMs });
          const { relayed: address } = await client.allocate();
          granted.push(performance.now() - start);
          relayed.push(`${address.ip}:${address.port}`);
          this.#held.push(client);
        } catch (error) {
          const cause = error instanceof TurnError ? String(error.code ?? error.kind) : "error";
          refused[cause] = (refused[cause] ?? 0) + 1;
          if (error instanceof TurnError && error.kind === "response") refusals.push(performance.now() - start);
          await client?.close({ release: false });
        }
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
    return {
      granted: granted.length,
      refused,
      p50Ms: percentile(granted, 0.5),
      p99Ms: percentile(granted, 0.99),
      maxMs: Math.max(0, ...granted),
      slowestRefusalMs: Math.max(0, ...refusals),
      relayed,
    };
  }

  /** Gives everything back. */
  async calm(): Promise<void> {
    const held = this.#held.splice(0);
    while (held.length > 0) await Promise.all(held.splice(0, 200).map((client) => client.close()));
  }
}
