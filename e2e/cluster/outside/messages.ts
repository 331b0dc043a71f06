import type { IceServer } from "../../support/api.ts";

/** How an API fared that was asked again and again. */
export interface Poll {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly slowestMs: number;
}

export type Answer = Poll | readonly IceServer[];
