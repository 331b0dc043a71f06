import { formatAddress, type TransportAddress } from "@culvert/stun";
import type { ClientTuple, ListenerId } from "@culvert/turn";
import type { ListenerConfig } from "../config.ts";

/** A listener as the fleet knows it. */
export interface FleetListener {
  readonly id: ListenerId;
  readonly transport: ListenerConfig["transport"];
  /** The bound address; the configured one until it is bound. */
  readonly address: TransportAddress;
  /** The client-facing address space: relays behind one load balancer or one moving address share its name. */
  readonly frontend: string;
}

const isWildcard = (ip: string): boolean => ip === "0.0.0.0" || ip === "::";

export function frontendOf(listener: ListenerConfig, address: TransportAddress, identity: string): string {
  if (listener.frontend !== undefined) return listener.frontend;
  return isWildcard(address.ip) ? `${identity}:${address.port}` : formatAddress(address);
}

/** The listeners, by number and by what the fleet calls them. */
export class Frontends {
  readonly #byId = new Map<ListenerId, FleetListener>();

  add(listener: FleetListener): void {
    this.#byId.set(listener.id, listener);
  }

  get(id: ListenerId): FleetListener | undefined {
    return this.#byId.get(id);
  }

  /** The listener that serves the clients of another relay's. */
  find(transport: string, frontend: string, address: TransportAddress): FleetListener | undefined {
    const ofTransport = [...this.#byId.values()].filter((listener) => listener.transport === transport);
    return (
      ofTransport.find((listener) => listener.frontend === frontend) ??
      ofTransport.find((listener) => formatAddress(listener.address) === formatAddress(address))
    );
  }

  /** The key of a 5-tuple in the fleet; undefined for a listener that is none of ours. */
  tuple({ listener, remote }: ClientTuple): string | undefined {
    const found = this.#byId.get(listener);
    return found === undefined ? undefined : tupleKey(found, remote);
  }

  [Symbol.iterator](): IterableIterator<FleetListener> {
    return this.#byId.values();
  }
}

/** `<transport> <frontend> <client ip>:<port>` */
export function tupleKey(
  { transport, frontend }: Pick<FleetListener, "transport" | "frontend">,
  remote: TransportAddress,
): string {
  return `${transport} ${frontend} ${formatAddress(remote)}`;
}
