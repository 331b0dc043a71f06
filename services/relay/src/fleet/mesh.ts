import type { DataPlane, OpenMesh } from "@culvert/dataplane";
import { fleetKeys, type RelayIdentity } from "@culvert/fleet";
import type { StunCrypto } from "@culvert/stun";
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
  readonly crypto: StunCrypto;
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
  const { config, fleet, self, dataPlane, crypto, listeners, relays, frontends } = options;
  for (const [id, listener] of config.listeners.entries()) {
    const address = listeners.addressOf(id);
    const { transport } = listener;
    frontends.add({ id, transport, address, frontend: frontendOf(listener, address, self.identity) });
  }
  if (fleet.mesh === undefined) return undefined;
  return dataPlane.openMesh({
    local: { ip: canonical(fleet.mesh.ip), port: fleet.mesh.port },
    instance: self.instance,
    secrets: fleetKeys(crypto, fleet.secrets, "mesh"),
    // The others join when their address is here.
    frontends: new Map(
      [...frontends].flatMap(({ id, frontend }) => (listeners.isOpen(id) ? [[id, frontend] as const] : [])),
    ),
    ...(fleet.failover === "address" ? { sharedIps: relays.current.map(({ ip }) => ip) } : {}),
  });
}
