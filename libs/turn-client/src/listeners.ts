/** The subscribers to one kind of event. */
export class Listeners<Args extends readonly unknown[]> {
  readonly #handlers = new Set<(...args: Args) => void>();

  /** Subscribes. The returned function takes the subscription back. */
  add(handler: (...args: Args) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  emit(...args: Args): void {
    for (const handler of [...this.#handlers]) handler(...args);
  }
}
