import type { Stage } from "./support/stage.ts";

/** What was seen, and the limit that it has to keep. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Inclusive. Without either it is reported only. */
  readonly atMost?: number;
  readonly atLeast?: number;
  /** What explains the value. */
  readonly note?: string;
}

/** How much of a fault is tried: `short` fits a test run, `full` is what the table of faults asks for. */
export type Scale = "short" | "full";

/** A fault that the platform lives through. */
export interface Row {
  readonly row: number;
  readonly fault: string;
  run(stage: Stage, scale: Scale): Promise<readonly Figure[]>;
}

export function keeps({ value, atMost, atLeast }: Figure): boolean {
  return (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast);
}

export function limitOf({ atMost, atLeast, unit }: Figure): string {
  const limits = [
    ...(atLeast === undefined ? [] : [`>= ${atLeast}`]),
    ...(atMost === undefined ? [] : [`<= ${atMost}`]),
  ];
  return limits.length === 0 ? "" : `${limits.join(", ")} ${unit}`;
}
