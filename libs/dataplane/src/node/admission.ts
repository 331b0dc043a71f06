import { parseIp } from "@culvert/stun";

/** Counts streams, and how many of them come from one source: an IPv4 address, or the /64 of an IPv6 address. */
export class Admission {
  readonly #total: number;
  readonly #perSource: number;
  readonly #bySource: Map<string, number> = new Map();
  #open = 0;

  constructor(total: number, perSource: number) {
    this.#total = total;
    this.#perSource = perSource;
  }

  get open(): number {
    return this.#open;
  }

  /** Undefined when there are too many. What is admitted is to be released once, by calling what comes back. */
  admit(ip: string): (() => void) | undefined {
    const source = sourceOf(ip);
    const before = this.#bySource.get(source) ?? 0;
    if (this.#open >= this.#total || before >= this.#perSource) return undefined;
    this.#open += 1;
    this.#bySource.set(source, before + 1);
    return () => this.#release(source);
  }

  #release(source: string): void {
    this.#open -= 1;
    const rest = (this.#bySource.get(source) ?? 1) - 1;
    if (rest === 0) this.#bySource.delete(source);
    else this.#bySource.set(source, rest);
  }
}

function sourceOf(ip: string): string {
  const bytes = parseIp(ip);
  return bytes?.length === 16 ? Buffer.from(bytes.subarray(0, 8)).toString("hex") : ip;
}
