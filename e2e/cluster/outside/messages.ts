import type { IceServer } from "../../support/api.ts";

/** How an API fared that was asked again and again. */
export interface Poll {
  readonly requests: number;
  /** What went wrong at the first try. */
  readonly repeated: readonly string[];
  /** What went wrong at the second try as well. */
  readonly failures: readonly string[];
}

export type Answer = Poll | readonly IceServer[];
