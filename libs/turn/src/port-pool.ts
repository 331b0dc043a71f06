import type { PortRange } from "./io.ts";
import { type RandomSource, uniformInt } from "./random.ts";

/** Which ports will do: any, an even one, or an even one whose next higher port is free too (RFC 8656 section 18.7). */
export type PortNeed = "any" | "even" | "pair";

/**
 * The free ports of one IP address. Taking, giving back and choosing take constant time however full the pool is, and
 * each free port that will do is equally likely.
 */
export class PortPool {
  readonly range: PortRange;
  /** How many ports there are. */
  readonly capacity: number;
  readonly #even: DenseSet;
  readonly #odd: DenseSet;
  /** The even ports whose next port is free too. */
  readonly #pairs: DenseSet;
  readonly #excluded: ReadonlySet<number>;

  constructor(range: PortRange, excluded: Iterable<number> = []) {
    this.range = range;
    this.#excluded = new Set(excluded);
    const count = range.max - range.min + 1;
    this.#even = new DenseSet(range.min, count);
    this.#odd = new DenseSet(range.min, count);
    this.#pairs = new DenseSet(range.min, count);
    for (let port = range.min; port <= range.max; port++) this.release(port);
    this.capacity = this.free;
  }

  /** How many ports are free. */
  get free(): number {
    return this.#even.size + this.#odd.size;
  }

  /** Takes a free port; with "pair" the next higher one is taken as well. Undefined when none will do. */
  take(need: PortNeed, random: RandomSource): number | undefined {
    const port = this.#choose(need, random);
    if (port === undefined) return undefined;
    this.#remove(port);
    if (need === "pair") this.#remove(port + 1);
    return port;
  }

  /** Takes this very port. False when it is not free. */
  takeOnly(port: number): boolean {
    if (port < this.range.min || port > this.range.max || !this.#side(port).has(port)) return false;
    this.#remove(port);
    return true;
  }

  /** Gives a port back. */
  release(port: number): void {
    if (port < this.range.min || port > this.range.max || this.#excluded.has(port)) return;
    this.#side(port).add(port);
    const even = port & ~1;
    if (this.#even.has(even) && this.#odd.has(even + 1)) this.#pairs.add(even);
  }

  #choose(need: PortNeed, random: RandomSource): number | undefined {
    if (need !== "any") {
      const set = need === "even" ? this.#even : this.#pairs;
      return set.size === 0 ? undefined : set.at(uniformInt(random, set.size));
    }
    if (this.free === 0) return undefined;
    const index = uniformInt(random, this.free);
    return index < this.#even.size ? this.#even.at(index) : this.#odd.at(index - this.#even.size);
  }

  #remove(port: number): void {
    this.#side(port).delete(port);
    this.#pairs.delete(port & ~1);
  }

  #side(port: number): DenseSet {
    return port % 2 === 0 ? this.#even : this.#odd;
  }
}

/** A set of small numbers whose members have indexes without holes. */
class DenseSet {
  readonly #first: number;
  readonly #members: Uint16Array;
  /** Index in `members` plus 1; 0: not a member. */
  readonly #places: Uint32Array;
  #size = 0;

  constructor(first: number, count: number) {
    this.#first = first;
    this.#members = new Uint16Array(count);
    this.#places = new Uint32Array(count);
  }

  get size(): number {
    return this.#size;
  }

  at(index: number): number | undefined {
    return index < this.#size ? this.#members[index] : undefined;
  }

  has(value: number): boolean {
    return (this.#places[value - this.#first] ?? 0) > 0;
  }

  add(value: number): void {
    if (this.has(value)) return;
    this.#members[this.#size] = value;
    this.#size++;
    this.#places[value - this.#first] = this.#size;
  }

  delete(value: number): void {
    const place = this.#places[value - this.#first] ?? 0;
    if (place === 0) return;
    const last = this.#members[this.#size - 1] ?? value;
    this.#members[place - 1] = last;
    this.#places[last - this.#first] = place;
    this.#places[value - this.#first] = 0;
    this.#size--;
  }
}
