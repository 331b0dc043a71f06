/** What a client has sent: each sequence number once and without holes, and acknowledged when it is dealt with. */
export class Inbox {
  readonly #open = new Set<number>();
  #received: number;

  constructor(received = 0) {
    this.#received = received;
  }

  /** The highest sequence number that was accepted. */
  get received(): number {
    return this.#received;
  }

  /** The cumulative acknowledgement: all up to here is dealt with. */
  get ack(): number {
    const [oldest] = this.#open;
    return oldest === undefined ? this.#received : oldest - 1;
  }

  /** Accepted and not dealt with. */
  get pending(): number {
    return this.#open.size;
  }

  accept(seq: number): "new" | "duplicate" | "hole" {
    if (seq <= this.#received) return "duplicate";
    if (seq !== this.#received + 1) return "hole";
    this.#received = seq;
    this.#open.add(seq);
    return "new";
  }

  complete(seq: number): void {
    this.#open.delete(seq);
  }
}
