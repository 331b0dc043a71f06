import { type AddressFamily, familyOf, type TransportAddress } from "@culvert/stun";
import type { ListenerConfig } from "./config.ts";
import type { ListenerId } from "./io.ts";

/**
 * A listener of a STUN server. Behaviour discovery (RFC 5780) takes UDP listeners on two IP addresses and two ports; where
 * there is one IP address only, a partner stands in for the other.
 */
export interface StunListenerConfig extends ListenerConfig {
  /** As clients know it. Default: `address`. */
  readonly advertised?: TransportAddress;
  /** It is on the alternate IP address. Default false: on the primary one. */
  readonly alternateIp?: boolean;
  /** It is on the alternate port. Default false: on the primary one. */
  readonly alternatePort?: boolean;
}

/** Another STUN server, as clients know it. */
export interface PartnerAddress {
  readonly ip: string;
  /** Default: the port of the own primary listener. */
  readonly primaryPort?: number;
  /** Default: the port of the own alternate listener. */
  readonly alternatePort?: number;
}

/** Where a response is sent from. */
export type Origin =
  | { readonly kind: "own"; readonly listener: ListenerId; readonly address: TransportAddress }
  | { readonly kind: "partner"; readonly fromAlternatePort: boolean; readonly address: TransportAddress };

/** The listeners of a STUN server by their places: two IP addresses times two ports, for each family. */
export class StunAddresses {
  readonly #byId: ReadonlyMap<ListenerId, StunListenerConfig>;
  readonly #byPlace = new Map<string, StunListenerConfig>();
  #partners: ReadonlyMap<AddressFamily, PartnerAddress> = new Map();

  constructor(listeners: readonly StunListenerConfig[], partners: readonly PartnerAddress[]) {
    this.#byId = new Map(listeners.map((listener) => [listener.id, listener]));
    for (const listener of listeners) {
      if (listener.transport !== "udp") continue;
      const place = placeKey(familyOf(addressOf(listener).ip), isOnAlternateIp(listener), isOnAlternatePort(listener));
      if (!this.#byPlace.has(place)) this.#byPlace.set(place, listener);
    }
    this.setPartners(partners);
  }

  setPartners(partners: readonly PartnerAddress[]): void {
    this.#partners = new Map(partners.map((partner) => [familyOf(partner.ip), partner]));
  }

  listener(id: ListenerId): StunListenerConfig | undefined {
    return this.#byId.get(id);
  }

  /** OTHER-ADDRESS: the other IP address and the other port. Undefined where there is none. */
  other(listener: StunListenerConfig): TransportAddress | undefined {
    return this.origin(listener, true, true)?.address;
  }

  /** Where a response leaves from that CHANGE-REQUEST asks for. Undefined where there is no such place. */
  origin(listener: StunListenerConfig, changeIp: boolean, changePort: boolean): Origin | undefined {
    if (!changeIp && !changePort) return { kind: "own", listener: listener.id, address: addressOf(listener) };
    const family = familyOf(addressOf(listener).ip);
    const onAlternateIp = isOnAlternateIp(listener);
    const fromAlternatePort = isOnAlternatePort(listener) !== changePort;
    const own = this.#byPlace.get(placeKey(family, onAlternateIp !== changeIp, fromAlternatePort));
    if (own !== undefined) return { kind: "own", listener: own.id, address: addressOf(own) };

    const partner = changeIp ? this.#partners.get(family) : undefined;
    if (partner === undefined) return undefined;
    const sibling = this.#byPlace.get(placeKey(family, onAlternateIp, fromAlternatePort));
    const stated = fromAlternatePort ? partner.alternatePort : partner.primaryPort;
    const port = stated ?? (sibling === undefined ? undefined : addressOf(sibling).port);
    return port === undefined ? undefined : { kind: "partner", fromAlternatePort, address: { ip: partner.ip, port } };
  }
}

function addressOf(listener: StunListenerConfig): TransportAddress {
  return listener.advertised ?? listener.address;
}

function isOnAlternateIp(listener: StunListenerConfig): boolean {
  return listener.alternateIp === true;
}

function isOnAlternatePort(listener: StunListenerConfig): boolean {
  return listener.alternatePort === true;
}

function placeKey(family: AddressFamily, alternateIp: boolean, alternatePort: boolean): string {
  return `${family} ${alternateIp} ${alternatePort}`;
}
