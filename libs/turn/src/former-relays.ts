import type { Allocation } from "./allocation.ts";
import type { OwnRelay } from "./peer-guard.ts";

/** The relayed addresses that allocations still have although the addresses of this host are called otherwise by now. */
export function formerRelays(relays: readonly OwnRelay[], allocations: Iterable<Allocation>): readonly OwnRelay[] {
  const current = new Set(relays.map(({ ip, external = ip }) => external));
  const former = new Map<string, OwnRelay>();
  for (const allocation of allocations) {
    for (const { socket } of allocation.relays.values()) {
      const { ip: external } = socket.relayed;
      const own = relays.find(({ ip }) => ip === socket.local.ip);
      if (own !== undefined && !current.has(external)) former.set(external, { ...own, external });
    }
  }
  return [...former.values()];
}
