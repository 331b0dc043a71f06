import type { DataPlaneCounters } from "@culvert/dataplane";

/** Every packet is counted once: relayed, handed up, answered or dropped. */
export function packetsOf(counters: DataPlaneCounters): number {
  const { packetsToPeers, packetsToClients, slowPath, bindings, dropped } = counters;
  const drops = Object.values(dropped).reduce((sum, count) => sum + count, 0);
  return packetsToPeers + packetsToClients + slowPath + bindings + drops;
}

/** The counters that changed, by name, and by how much. */
export function difference(before: DataPlaneCounters, after: DataPlaneCounters): Record<string, number> {
  const flat = ({ dropped, mesh, ...rest }: DataPlaneCounters): Record<string, number> => ({
    ...rest,
    ...mesh,
    ...dropped,
  });
  const [old, now] = [flat(before), flat(after)];
  const changed = Object.entries(now).filter(([name, count]) => count !== old[name]);
  return Object.fromEntries(changed.map(([name, count]) => [name, count - (old[name] ?? 0)]).sort());
}
