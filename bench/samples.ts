/** Measurements of one thing, one for each round. */
export type Samples = readonly number[];

/** The middle of the samples, or the mean of the two in the middle; NaN of none. */
export function median(samples: Samples): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** The lowest and the highest. */
export function spread(samples: Samples): readonly [number, number] {
  return [Math.min(...samples), Math.max(...samples)];
}

/** Four significant digits: more than such a measurement is worth, and no tail. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
