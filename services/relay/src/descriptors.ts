import { readFileSync } from "node:fs";
import type { RelayConfig } from "./config.ts";

/** What is kept free of relay sockets: listeners, streams of the platform, logs, operators who want to know what is wrong. */
const RESERVED = 128;

/** How many file descriptors this process may open; undefined where the system does not tell. */
export function descriptorLimit(): number | undefined {
  try {
    return parseLimit(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    return undefined;
  }
}

/** @param limits the text of /proc/self/limits */
export function parseLimit(limits: string): number | undefined {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}

/**
 * The configuration with room for no more allocations than there are descriptors for their sockets: one that has run out
 * answers nobody, operators neither.
 */
export function withinDescriptors(config: RelayConfig, limit: number | undefined): RelayConfig {
  if (limit === undefined) return config;
  const room = Math.max(limit - RESERVED, Math.floor(limit / 2), 1);
  if (config.quotas.total !== undefined && config.quotas.total <= room) return config;
  return { ...config, quotas: { ...config.quotas, total: room } };
}
