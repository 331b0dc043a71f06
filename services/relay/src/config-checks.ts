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

export const checkFleet: Check = ({ value: { fleet, listeners, addresses, auth, externalAddress }, issues }) => {
  if (fleet === undefined) return;
  const refuse = (path: readonly (string | number)[], input: unknown, message: string): void => {
    issues.push({ code: "custom", input, path: [...path], message });
  };
  if (auth.nonceKeys.length > 0) {
    refuse(["auth", "nonceKeys"], undefined, "must be empty in a fleet: they come from relay.fleet.secrets");
  }
  for (const name of ["node", "service", "stun"] as const) {
    if (fleet.failover === "address" && externalAddress?.[name] !== undefined) {
      refuse(
        ["externalAddress", name],
        undefined,
        "must be absent where relayed addresses move (relay.fleet.failover)",
      );
    }
  }
  const seen = new Set<string>();
  for (const [index, { transport, ip, port, frontend }] of listeners.entries()) {
    const key = `${transport} ${frontend} ${ip.includes(":") ? 6 : 4}`;
    if (frontend !== undefined && seen.has(key)) {
      refuse(["listeners", index, "frontend"], frontend, "must not be another listener's of one transport and family");
    }
    seen.add(key);
    if (fleet.failover === "address" && port === 0) {
      refuse(["listeners", index, "port"], port, "must be set where relayed addresses move (relay.fleet.failover)");
    }
  }
  for (const [index, { ip }] of addresses.entries()) {
    if (fleet.failover === "address" && ip === "auto") {
      refuse(["addresses", index], ip, "must be an address where relayed addresses move (relay.fleet.failover)");
    }
  }
};
