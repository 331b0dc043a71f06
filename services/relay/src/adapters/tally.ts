import type { Attributes, Meter } from "@opentelemetry/api";

interface Entry {
  readonly attributes: Attributes;
  count: number;
}

/**
 * A counter that is read at each collection. Counting takes one look-up, where an instrument of OpenTelemetry would sort
 * and hash the attributes of every single event.
 */
export class Tally {
  readonly #entries: Map<string | number, Entry> = new Map();

  constructor(meter: Meter, name: string, description: string) {
    meter.createObservableCounter(name, { description }).addCallback((result) => {
      for (const { attributes, count } of this.#entries.values()) result.observe(count, attributes);
    });
  }

  /** Counts one. `key` stands for the attributes, which are made when it comes for the first time. */
  add(key: string | number, attributes: () => Attributes): void {
    this.#entry(key, attributes).count += 1;
  }

  /** Shows the attributes from the start, with 0. */
  declare(key: string | number, attributes: Attributes): void {
    this.#entry(key, () => attributes);
  }

  #entry(key: string | number, attributes: () => Attributes): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { attributes: attributes(), count: 0 };
      this.#entries.set(key, entry);
    }
    return entry;
  }
}
