import { fileURLToPath } from "node:url";
import type { Host } from "../../chaos/support/namespaces.ts";
import type { Stage } from "../../chaos/support/stage.ts";
import type { ApiAccess, IceServer } from "../../support/api.ts";
import { Child } from "../../support/child.ts";
import type { Poll } from "./messages.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const TIMEOUT_MS = 30_000;

function start(host: Host, what: string, { apiUrl, keyId, token }: ApiAccess): Child {
  const node = [process.execPath, "--conditions=development", "--import", "tsx", MAIN, what, apiUrl, keyId, token];
  return new Child("ip", ["netns", "exec", host.namespace, ...node]);
}

async function answerOf<T>(child: Child): Promise<T> {
  const { code } = await child.exit(TIMEOUT_MS);
  if (code !== 0) throw new Error(`an application outside of the cluster failed:\n${child.output}`);
  return JSON.parse(child.stdout);
}

/** Asks the API for ICE servers, from `host`. */
export function iceServersFrom(host: Host, access: ApiAccess): Promise<readonly IceServer[]> {
  return answerOf(start(host, "credentials", access));
}

/** Asks the API for credentials ten times a second from now on. The result ends it and tells how the API fared. */
export function pollFrom(stage: Stage, host: Host, access: ApiAccess): () => Promise<Poll> {
  const child = start(host, "poll", access);
  stage.atEnd(() => child.signal("SIGKILL"));
  return () => {
    child.signal("SIGTERM");
    return answerOf(child);
  };
}
