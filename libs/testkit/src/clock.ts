/** A clock that stands still until it is told to move. Milliseconds since the epoch. */
export interface ManualClock {
  now(): number;
  advance(milliseconds: number): number;
}

/** Default start: 2026-01-01T00:00:00Z. */
export function manualClock(start: number = Date.UTC(2026, 0, 1)): ManualClock {
  let now = start;
  return {
    now: () => now,
    advance: (milliseconds) => {
      now += milliseconds;
      return now;
    },
  };
}
