/** Cuts pieces out of `input`, large ones first, for as long as it stays `interesting`. Bounded by `attempts`. */
export function shrink(input: Uint8Array, interesting: (input: Uint8Array) => boolean, attempts = 2_000): Uint8Array {
  let best = input;
  let left = attempts;
  for (let size = Math.ceil(input.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && left > 0; left--) {
      const shorter = new Uint8Array(Math.max(0, best.length - size) - Math.min(0, best.length - at - size));
      shorter.set(best.subarray(0, at));
      shorter.set(best.subarray(Math.min(best.length, at + size)), at);
      if (interesting(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}
