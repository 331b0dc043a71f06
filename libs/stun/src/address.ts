/** An IP address and a port. `ip` is canonical text: dotted decimal, or RFC 5952 for IPv6. */
export interface TransportAddress {
  readonly ip: string;
  /** 0 to 65535. */
  readonly port: number;
}

export type AddressFamily = 4 | 6;
