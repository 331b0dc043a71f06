import { type AddressFamily, familyOf, type TransportAddress } from "@culvert/stun";
import type { RelayAddressConfig, ResolvedConfig } from "./config.ts";
import type { LeaseId, PortRange } from "./io.ts";
import { type PortNeed, PortPool } from "./port-pool.ts";
import { type RandomSource, uniformInt } from "./random.ts";

/** A slot that this server holds: a range of relayed ports on one address, leased for a time that others watch over. */
export interface SlotConfig {
  /** Its name in the fleet. */
  readonly slot: string;
  /** Another lease than before on the same slot ends what was opened under the old one. */
  readonly lease: LeaseId;
  /** The address on this host that relay sockets are bound to. */
  readonly ip: string;
  /** The address that clients and peers know it by, where that is another one. */
  readonly external?: string;
  readonly ports: PortRange;
  /** False: what is there goes on, new allocations get ports of other slots. Default true. */
  readonly open?: boolean;
}

/** Where relayed ports come from: an address of this host, or a slot on one. */
export interface Place {
  readonly slot: string | undefined;
  readonly lease: LeaseId | undefined;
  readonly ip: string;
  /** Of sockets that are opened from now on. */
  external: string;
  readonly family: AddressFamily;
  readonly pool: PortPool;
  open: boolean;
}

/** All places of a server. With slots there are none until they are told. */
export class Places {
  readonly #config: ResolvedConfig;
  readonly #random: RandomSource;
  readonly #families: ReadonlySet<AddressFamily>;
  #places: readonly Place[];

  constructor(config: ResolvedConfig, random: RandomSource) {
    this.#config = config;
    this.#random = random;
    this.#families = new Set(config.relays.map(({ ip }) => familyOf(ip)));
    this.#places = config.slots
      ? []
      : config.relays.map(({ ip, external = ip, ports = config.ports }) => this.#place({ ip, external, ports }));
  }

  /** Whether relayed addresses of the family can be had here, though perhaps not now. */
  supports(family: AddressFamily): boolean {
    return this.#families.has(family) || this.#places.some((place) => place.family === family);
  }

  /** How many relayed ports are free. */
  free(family: AddressFamily): number {
    return this.#openOnes(family).reduce((sum, { pool }) => sum + pool.free, 0);
  }

  /** Of all places, open or not: the ports that there are, and how many of them are not free. */
  ports(): { readonly capacity: number; readonly used: number } {
    // Two places may have the same ports, under different names of one address.
    const pools = [...new Set(this.#places.map(({ pool }) => pool))];
    const capacity = pools.reduce((sum, pool) => sum + pool.capacity, 0);
    return { capacity, used: pools.reduce((used, pool) => used - pool.free, capacity) };
  }

  /** Of all free ports on all places each is equally likely, as long as one at the chosen place will do. */
  take(family: AddressFamily, need: PortNeed): { place: Place; port: number } | undefined {
    const candidates = this.#openOnes(family).filter(({ pool }) => pool.free > 0);
    while (candidates.length > 0) {
      const free = candidates.reduce((sum, { pool }) => sum + pool.free, 0);
      let rest = uniformInt(this.#random, free);
      const index = candidates.findIndex(({ pool }) => {
        rest -= pool.free;
        return rest < 0;
      });
      const [place] = candidates.splice(index, 1);
      const port = place?.pool.take(need, this.#random);
      if (place !== undefined && port !== undefined) return { place, port };
    }
    return undefined;
  }

  /** The place that a relayed address is of, open or not. */
  of(relayed: TransportAddress): Place | undefined {
    return this.#places.find(
      ({ external, pool }) =>
        external === relayed.ip && relayed.port >= pool.range.min && relayed.port <= pool.range.max,
    );
  }

  /** Changes what the addresses of this host are called outside. Where ports come in slots, the slots say that. */
  setRelays(relays: readonly RelayAddressConfig[]): void {
    for (const place of this.#places) {
      const relay = relays.find(({ ip }) => ip === place.ip);
      if (place.slot === undefined && relay !== undefined) place.external = relay.external ?? relay.ip;
    }
  }

  /** Takes the slots held from now on in the place of those before. Returns the places that are lost. */
  setSlots(slots: readonly SlotConfig[]): ReadonlySet<Place> {
    const before = new Set(this.#places);
    const held = slots.map((slot) => this.#places.find((place) => isPlaceOf(slot, place)));
    this.#places = slots.map((slot, index) => {
      const { ip, external = ip, ports, lease, open = true } = slot;
      // An address of this host that is called otherwise by now is one more slot on the same ports.
      const other = held.find((place) => place?.ip === ip && sameRange(place.pool.range, ports));
      const place = held[index] ?? this.#place({ slot: slot.slot, lease, ip, external, ports }, other?.pool);
      place.open = open;
      before.delete(place);
      return place;
    });
    return before;
  }

  #place(
    where: {
      readonly slot?: string;
      readonly lease?: LeaseId;
      readonly ip: string;
      readonly external: string;
      readonly ports: PortRange;
    },
    pool: PortPool = this.#pool(where),
  ): Place {
    const { slot, lease, ip, external } = where;
    return { slot, lease, ip, external, family: familyOf(ip), pool, open: true };
  }

  #pool({ ip, ports }: { readonly ip: string; readonly ports: PortRange }): PortPool {
    const listening = this.#config.listeners.filter(({ address }) => isOn(address.ip, ip));
    return new PortPool(
      ports,
      listening.map(({ address }) => address.port),
    );
  }

  #openOnes(family: AddressFamily): Place[] {
    return this.#places.filter((place) => place.open && place.family === family);
  }
}

function isPlaceOf({ slot, lease, ip, external = ip, ports }: SlotConfig, place: Place): boolean {
  return (
    place.slot === slot &&
    place.lease === lease &&
    place.ip === ip &&
    place.external === external &&
    sameRange(place.pool.range, ports)
  );
}

function sameRange(a: PortRange, b: PortRange): boolean {
  return a.min === b.min && a.max === b.max;
}

function isOn(listenerIp: string, relayIp: string): boolean {
  return listenerIp === relayIp || listenerIp === "0.0.0.0" || listenerIp === "::";
}
