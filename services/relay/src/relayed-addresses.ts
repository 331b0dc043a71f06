import type { RelayAddress } from "./config.ts";

/**
 * The addresses of this host that are relayed on, as clients and peers know them now, and as they knew them before: what
 * began under another address lives on under it.
 */
export class RelayedAddresses implements Iterable<RelayAddress> {
  #current: readonly RelayAddress[];
  /** By the external address, former ones too. */
  readonly #local = new Map<string, string>();

  constructor(addresses: readonly RelayAddress[]) {
    this.#current = addresses;
    this.#learn();
  }

  get current(): readonly RelayAddress[] {
    return this.#current;
  }

  [Symbol.iterator](): Iterator<RelayAddress> {
    return this.#current[Symbol.iterator]();
  }

  set(addresses: readonly RelayAddress[]): void {
    this.#current = addresses;
    this.#learn();
  }

  /** The address of this host behind an external one. Undefined where it is none of this relay's. */
  localOf(external: string): string | undefined {
    return this.#local.get(external);
  }

  /** The external address that an address of this host has now. */
  externalOf(local: string): string {
    return this.#current.find(({ ip }) => ip === local)?.external ?? local;
  }

  #learn(): void {
    for (const { ip, external = ip } of this.#current) this.#local.set(external, ip);
  }
}
