/** A wait that something ends, or time does. */
export class Wait {
  #end: () => void = () => {};

  /** Resolves when {@link end} is called, after `milliseconds` at the latest. */
  atMost(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const deadline = setTimeout(resolve, milliseconds);
      this.#end = () => {
        clearTimeout(deadline);
        resolve();
      };
    });
  }

  /** Does nothing where nobody waits. */
  end(): void {
    this.#end();
  }
}
