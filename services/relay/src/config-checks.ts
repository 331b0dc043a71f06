import type { z } from "zod";
import { listensOn } from "./addresses.ts";
import type { RelayConfig } from "./config.ts";

type Check = z.core.CheckFn<RelayConfig>;

/** The first listener that sits inside the relayed ports of an address that it serves too. */
export function conflictingListener(
  config: Pick<RelayConfig, "listeners" | "addresses" | "ports">,
): number | undefined {
  const { min, max } = config.ports;
  const index = config.listeners.findIndex(
    (listener) =>
      listener.port >= min && listener.port <= max && config.addresses.some(({ ip }) => listensOn(listener, ip)),
  );
  return index < 0 ? undefined : index;
}

export function conflictMessage({ ports }: Pick<RelayConfig, "ports">): string {
  return `must be outside of relay.ports (${ports.min} to ${ports.max}), or on another address than the relayed ones`;
}

export const checkListeners: Check = ({ value: config, issues }) => {
  const conflict = conflictingListener(config);
  if (conflict !== undefined) {
    issues.push({
      code: "custom",
      input: config.listeners[conflict]?.port,
      path: ["listeners", conflict, "port"],
      message: conflictMessage(config),
    });
  }
  const seen = new Set<string>();
  for (const [index, { transport, ip, port }] of config.listeners.entries()) {
    const key = `${transport === "udp" ? "udp" : "stream"} ${ip} ${port}`;
    if (port !== 0 && seen.has(key)) {
      const path = ["listeners", index, "port"];
      issues.push({ code: "custom", input: port, path, message: "must not be taken by another listener" });
    }
    seen.add(key);
  }
};
