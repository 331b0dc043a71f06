import { hostAddresses } from "@culvert/config";
import { cutSlots, type Reach } from "@culvert/fleet";
import type { Logger } from "@culvert/telemetry";
import { canonical } from "../addresses.ts";
import type { RelayConfig } from "../config.ts";
import type { ListenerSet } from "../listener-set.ts";
import type { RelayedAddresses } from "../relayed-addresses.ts";
import type { FleetConfig } from "./config.ts";

/** How often the host's addresses are looked at, where relayed addresses move, in ms. */
const LOOK_MS = 250;

export interface AddressesHereOptions {
  readonly config: RelayConfig;
  readonly fleet: FleetConfig;
  /** Relayed addresses of this relay. */
  readonly relays: RelayedAddresses;
  readonly listeners: ListenerSet;
  readonly logger: Logger;
}

/** The addresses of this host, and with them the slots that this relay can serve. */
export class AddressesHere {
  readonly #options: AddressesHereOptions;
  #ips = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AddressesHereOptions) {
    this.#options = options;
  }

  reach(): Reach {
    const { config, fleet, relays } = this.#options;
    const { current } = relays;
    const own = current.flatMap(({ ip, external = ip }) =>
      cutSlots({ ip: external, ...config.ports }, fleet.slots.ports),
    );
    const here = new Set(hostAddresses().map(({ address }) => canonical(address)));
    const loopback = (ip: string): boolean => ip.startsWith("127.");
    const external = current.flatMap(({ ip, external: known = ip }) => (here.has(ip) || loopback(ip) ? [known] : []));
    return { own, ips: new Set([...here, ...external]) };
  }

  /** Tells of addresses that came or went, once the listeners that waited for them are open. */
  follow(onChange: (reach: Reach) => void): void {
    this.#timer = setInterval(() => this.#look(onChange), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(onChange: (reach: Reach) => void): void {
    const { listeners, logger } = this.#options;
    const reach = this.reach();
    const ips = [...reach.ips].sort().join(" ");
    if (ips === this.#ips) return;
    this.#ips = ips;
    listeners
      .openPending()
      .catch((error: unknown) => logger.error({ err: error }, "listener not opened"))
      .finally(() => onChange(reach));
  }
}
