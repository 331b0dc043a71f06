import { setTimeout as sleep } from "node:timers/promises";
import { type ApiAccess, generateIceServers } from "../../support/api.ts";
import type { Answer, Poll } from "./messages.ts";

/**
 * An application outside of the cluster: `credentials` asks the API for TURN credentials once, `poll` does so again and again until
 * SIGTERM, and tells how many requests failed. One line of JSON to stdout.
 */
const INTERVAL_MS = 100;

async function poll(access: ApiAccess): Promise<Poll> {
  let stopped = false;
  process.once("SIGTERM", () => {
    stopped = true;
  });
  const failures: string[] = [];
  let requests = 0;
  let slowestMs = 0;
  while (!stopped) {
    const start = performance.now();
    requests++;
    try {
      await generateIceServers(access);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
      failures.push(`${String(error)}${cause}`);
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
    await sleep(INTERVAL_MS);
  }
  return { requests, failures, slowestMs };
}

const [what, apiUrl = "", keyId = "", token = ""] = process.argv.slice(2);
const access: ApiAccess = { apiUrl, keyId, token };
const answer: Answer = what === "poll" ? await poll(access) : await generateIceServers(access);
process.stdout.write(`${JSON.stringify(answer)}\n`);
