/** A map from (IP address, port). Two plain lookups, so that the hot path builds no key. */
export class AddressMap<T> {
  readonly #byIp: Map<string, Map<number, T>> = new Map();

  get(ip: string, port: number): T | undefined {
    return this.#byIp.get(ip)?.get(port);
  }

  set(ip: string, port: number, value: T): void {
    let byPort = this.#byIp.get(ip);
    if (byPort === undefined) {
      byPort = new Map();
      this.#byIp.set(ip, byPort);
    }
    byPort.set(port, value);
  }

  /** Removes the entry if it still is `value`. */
  delete(ip: string, port: number, value: T): void {
    const byPort = this.#byIp.get(ip);
    if (byPort?.get(port) !== value) return;
    byPort.delete(port);
    if (byPort.size === 0) this.#byIp.delete(ip);
  }

  *values(): Generator<T> {
    for (const byPort of this.#byIp.values()) yield* byPort.values();
  }
}
