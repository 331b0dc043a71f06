import type { DataPlane, MeshPeerId, PlaneCommand } from "@culvert/dataplane";
import { parseSlot, type RelayIdentity, type SlotName } from "@culvert/fleet";
import type { SlotState } from "@culvert/state";
import type { PortRange } from "@culvert/turn";
import type { RelayedAddresses } from "../relayed-addresses.ts";
import type { FleetTime } from "./fleet-time.ts";

/** How long packets for the ports of another relay go there unless told again, in lease times. */
const TTLS = 2;

export interface ForeignPortsOptions {
  readonly dataPlane: DataPlane;
  readonly time: FleetTime;
  readonly self: RelayIdentity;
  /** Of a lease, in ms. */
  readonly ttl: number;
  readonly relays: RelayedAddresses;
  readonly holds: (slot: SlotName) => boolean;
  readonly peerOf: (identity: string) => MeshPeerId | undefined;
}

/** Ports of other relays on addresses that are here, too: what peers send to them goes to their relays. */
export class ForeignPorts {
  readonly #options: ForeignPortsOptions;
  #possible = false;

  constructor(options: ForeignPortsOptions) {
    this.#options = options;
  }

  /** The data plane can take in what peers send to ports of no socket. */
  enable(): void {
    this.#possible = true;
  }

  forward(slots: readonly SlotState[]): void {
    const { dataPlane, self, time, ttl, holds, peerOf } = this.#options;
    const deadline = time.clock() + TTLS * ttl;
    for (const { slot, identity, host, expiresInMs } of slots) {
      const local = this.#localPorts(slot);
      const peer = peerOf(identity);
      if (local === undefined || peer === undefined) continue;
      if (expiresInMs <= 0 || host === self.host || holds(slot)) continue;
      dataPlane.apply([{ type: "upsert", entry: { kind: "foreign-ports", ...local, peer, deadline } }]);
    }
  }

  /** What ends the forwarding for a slot that is this relay's now. */
  takeBack(slot: SlotName): readonly PlaneCommand[] {
    const ports = this.#localPorts(slot);
    return ports === undefined ? [] : [{ type: "revoke", key: { kind: "foreign-ports", ...ports } }];
  }

  /** The ports of a slot on an address that may be shared; undefined where it is not one of this relay's. */
  #localPorts(slot: SlotName): { readonly ip: string; readonly ports: PortRange } | undefined {
    if (!this.#possible) return undefined;
    const range = parseSlot(slot);
    const ip = range === undefined ? undefined : this.#options.relays.localOf(range.ip);
    if (range === undefined || ip === undefined) return undefined;
    return { ip, ports: { min: range.min, max: range.max } };
  }
}
