import { hostname } from "node:os";

/** The name of this relay, which survives its restarts: of its pod, or of its host. */
export function relayIdentity(env: NodeJS.ProcessEnv): string {
  return env.CULVERT_POD_NAME || env.POD_NAME || hostname();
}
