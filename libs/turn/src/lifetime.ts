import type { Core } from "./core.ts";

/** The lifetime in seconds that a client gets for the one it asks for (RFC 8656 section 7.2). */
export function grantedLifetime(core: Core, requested: number | undefined): number {
  const { defaultLifetimeSeconds, maxLifetimeSeconds } = core.config;
  return Math.min(Math.max(requested ?? 0, defaultLifetimeSeconds), maxLifetimeSeconds);
}
