/** The store did not answer, or not in time, or cannot write now. */
export class StoreUnavailable extends Error {
  override readonly name: string = "StoreUnavailable";
}
