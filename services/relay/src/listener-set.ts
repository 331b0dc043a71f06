import { hostAddresses } from "@culvert/config";
import type { BoundListener, Certificate, DataPlane, ListenerSpec } from "@culvert/dataplane";
import { sameAddress, type TransportAddress } from "@culvert/stun";
import type { ListenerId } from "@culvert/turn";
import { canonical } from "./addresses.ts";
import type { ListenerConfig } from "./config.ts";

export interface ListenerSetOptions {
  readonly listeners: readonly ListenerConfig[];
  readonly dataPlane: DataPlane;
  readonly certificate: () => Certificate | undefined;
  /** Listeners whose address is not on this host yet are opened when it is. */
  readonly addressesMove: boolean;
  /** What a listener's client-facing address space is called, in a fleet. */
  readonly frontendOf?: (listener: ListenerConfig, address: TransportAddress) => string;
}

/** The relay's listeners: those of its configuration, and those that it opens for clients of another relay. */
export class ListenerSet {
  readonly #options: ListenerSetOptions;
  readonly #open = new Map<ListenerId, BoundListener>();
  readonly #pending = new Map<ListenerId, ListenerConfig>();
  readonly #extra = new Map<ListenerId, TransportAddress>();
  #opening: Promise<void> = Promise.resolve();

  constructor(options: ListenerSetOptions) {
    this.#options = options;
    for (const [id, listener] of options.listeners.entries()) this.#pending.set(id, listener);
  }

  /** Rejects with a ListenError for the first that cannot be opened. */
  async open(): Promise<readonly BoundListener[]> {
    await this.openPending();
    return [...this.#options.listeners.keys()].map((id) => ({ id, local: this.addressOf(id) }));
  }

  /** Where the listener is; where it is going to be, while its address is not here. */
  addressOf(id: ListenerId): TransportAddress {
    const { listeners } = this.#options;
    const { ip, port } = listeners[id] ?? { ip: "0.0.0.0", port: 0 };
    return this.#open.get(id)?.local ?? this.#extra.get(id) ?? { ip: canonical(ip), port };
  }

  isOpen(id: ListenerId): boolean {
    return this.#open.has(id);
  }

  /** Opens what waits for an address that is here now. */
  openPending(): Promise<void> {
    this.#opening = this.#opening.catch(() => {}).then(() => this.#openPending());
    return this.#opening;
  }

  /** A UDP listener at another relay's address. Undefined while the address is not here. */
  async openFor(local: TransportAddress, frontend: string): Promise<ListenerId | undefined> {
    for (const [id, address] of this.#extra) if (sameAddress(address, local)) return id;
    if (!this.#isHere(local.ip)) return undefined;
    const id = this.#options.listeners.length + this.#extra.size;
    this.#extra.set(id, local);
    try {
      const spec: ListenerSpec = { id, transport: "udp", local, mode: "turn", frontend };
      this.#open.set(id, await this.#options.dataPlane.listen(spec));
      return id;
    } catch (error) {
      this.#extra.delete(id);
      throw error;
    }
  }

  async #openPending(): Promise<void> {
    const { frontendOf } = this.#options;
    for (const [id, listener] of [...this.#pending]) {
      const { transport, ip, port } = listener;
      if (this.#options.addressesMove && !this.#isHere(ip)) continue;
      const certificate = transport === "tls" ? this.#options.certificate() : undefined;
      const frontend = frontendOf?.(listener, this.addressOf(id));
      const spec: ListenerSpec = {
        id,
        transport,
        local: { ip, port },
        mode: "turn",
        ...(frontend === undefined ? {} : { frontend }),
      };
      const bound = await this.#options.dataPlane.listen(certificate === undefined ? spec : { ...spec, certificate });
      this.#open.set(id, bound);
      this.#pending.delete(id);
    }
  }

  #isHere(ip: string): boolean {
    const wanted = canonical(ip);
    if (wanted === "0.0.0.0" || wanted === "::" || wanted.startsWith("127.")) return true;
    return hostAddresses().some(({ address }) => canonical(address) === wanted);
  }
}
