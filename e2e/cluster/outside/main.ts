import { setTimeout as sleep } from "node:timers/promises";
import { type ApiAccess, generateIceServers } from "../../support/api.ts";
import type { Answer, Poll } from "./messages.ts";

/**
 * An application outside of the cluster: `credentials` asks the API for TURN credentials once, `poll` does so again and again until
 * SIGTERM, and tells how many requests failed. One line of JSON to stdout.
 *
 * A request that fails is tried once more, as applications do: a server that stops closes connections that are kept alive, and a request that
 * is under way on one at that moment finds it closed.
 */
const INTERVAL_MS = 100;

async function poll(access: ApiAccess): Promise<Poll> {
  let stopped = false;
  process.once("SIGTERM", () => {
    stopped = true;
  });
  const failures: string[] = [];
  const repeated: string[] = [];
  let requests = 0;
  while (!stopped) {
    requests++;
    try {
      await generateIceServers(access);
    } catch (error) {
      repeated.push(textOf(error));
      await generateIceServers(access).catch((again: unknown) => failures.push(textOf(again)));
    }
    await sleep(INTERVAL_MS);
  }
  return { requests, repeated, failures };
}

function textOf(error: unknown): string {
  return `${String(error)}${error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ""}`;
}

const [what, apiUrl = "", keyId = "", token = ""] = process.argv.slice(2);
const access: ApiAccess = { apiUrl, keyId, token };
const answer: Answer = what === "poll" ? await poll(access) : await generateIceServers(access);
process.stdout.write(`${JSON.stringify(answer)}\n`);
