import { networkInterfaces } from "node:os";

/** An address of a network interface. */
export interface HostAddress {
  readonly address: string;
  /** Loopback. */
  readonly internal: boolean;
}

export function hostAddresses(): readonly HostAddress[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
}

/** What `auto` stands for: the first address that is neither loopback nor link-local, IPv4 before IPv6. */
export function automaticAddress(host: readonly HostAddress[]): string | undefined {
  const usable = host.filter(({ address, internal }) => !internal && !/^fe[89ab]/i.test(address));
  return (usable.find(({ address }) => !address.includes(":")) ?? usable[0])?.address;
}
