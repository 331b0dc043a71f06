import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { RelayIdentity } from "@culvert/fleet";
import type { RandomSource } from "@culvert/turn";
import { relayIdentity } from "../relay-identity.ts";
import type { FleetConfig } from "./config.ts";

/** Who this relay is. */
export function fleetSelf(config: FleetConfig, env: NodeJS.ProcessEnv, random: RandomSource): RelayIdentity {
  const identity = config.identity ?? relayIdentity(env);
  const instance = Buffer.from(random.bytes(16)).toString("hex");
  return { identity, instance, host: config.host ?? kernelOf() };
}

/** Names the kernel's table of ports: two processes with the same name can never have one port at once. */
function kernelOf(): string {
  return [
    read(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()) ?? hostname(),
    read(() => readlinkSync("/proc/self/ns/net")) ?? "net",
  ].join(" ");
}

function read(source: () => string): string | undefined {
  try {
    return source();
  } catch {
    return undefined;
  }
}
