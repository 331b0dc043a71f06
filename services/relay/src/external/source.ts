/** An address of each family, where there is one. */
export interface ByFamily {
  readonly ipv4?: string;
  readonly ipv6?: string;
}

export type Family = keyof ByFamily;

/** What a source says now. */
export type Report =
  | { readonly ok: true; readonly found: ByFamily }
  /**
   * It has no answer: `problem` says why, as a part of a sentence. `pending`: an answer may come by itself. What it said
   * before still counts.
   */
  | { readonly ok: false; readonly problem: string; readonly pending: boolean };

/** Something that may know the external address. */
export interface Source {
  /** In words: "node worker-1". */
  readonly name: string;
  /** What it is asked for, for the line that says it was not there. */
  readonly lacks: string;
  /** Reports what is so now, and every change. */
  follow(report: (report: Report) => void): void;
  close(): void;
}

export function familyOf(ip: string): Family {
  return ip.includes(":") ? "ipv6" : "ipv4";
}

/** The first address of each family. */
export function firstOfEach(ips: readonly string[]): ByFamily {
  const ipv4 = ips.find((ip) => familyOf(ip) === "ipv4");
  const ipv6 = ips.find((ip) => familyOf(ip) === "ipv6");
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}
