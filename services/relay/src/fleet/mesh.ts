import type { DataPlane, OpenMesh } from "@culvert/dataplane";
import type { RelayIdentity } from "@culvert/fleet";
import { canonical } from "../addresses.ts";
import type { RelayConfig } from "../config.ts";
import type { ListenerSet } from "../listener-set.ts";
import type { RelayedAddresses } from "../relayed-addresses.ts";
import type { FleetConfig } from "./config.ts";
import { type Frontends, frontendOf } from "./frontends.ts";

export interface FleetMeshOptions {
  readonly config: RelayConfig;
  readonly fleet: FleetConfig;
  readonly self: RelayIdentity;
  readonly dataPlane: DataPlane;
  /** Keys of the mesh. */
  readonly keys: readonly Uint8Array[];
  readonly listeners: ListenerSet;
  /** Relayed addresses of this relay. */
  readonly relays: RelayedAddresses;
  /** Gets the listeners of the configuration. */
  readonly frontends: Frontends;
}

/**
 * Names the listeners as the fleet does, and joins the mesh with those that are open. Undefined where none is configured.
 * Rejects with a ListenError.
 */
export async function openFleetMesh(options: FleetMeshOptions): Promise<OpenMesh | undefined> {
  const { config, fleet, self, dataPlane, keys, listeners, relays, frontends } = options;
  for (const [id, listener] of config.listeners.entries()) {
    const address = listeners.addressOf(id);
    const { transport } = listener;
    frontends.add({ id, transport, address, frontend: frontendOf(listener, address, self.identity) });
  }
  if (fleet.mesh === undefined) return undefined;
  return dataPlane.openMesh({
    local: { ip: canonical(fleet.mesh.ip), port: fleet.mesh.port },
    instance: self.instance,
    secrets: keys,
    // The others join when their address is here.
    frontends: new Map(
      [...frontends].flatMap(({ id, frontend }) => (listeners.isOpen(id) ? [[id, frontend] as const] : [])),
    ),
    ...(fleet.failover === "address" ? { sharedIps: relays.current.map(({ ip }) => ip) } : {}),
  });
}
