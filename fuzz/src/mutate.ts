import type { Random } from "./random.ts";

type Mutation = (input: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

/** Where off-by-one errors live. */
const BYTES = [0, 1, 2, 3, 4, 7, 8, 0x0f, 0x10, 0x13, 0x14, 0x20, 0x3f, 0x40, 0x4f, 0x50, 0x7f, 0x80, 0xff] as const;
const WORDS = [0, 1, 3, 4, 5, 8, 20, 0x0fff, 0x3fff, 0x4000, 0x4fff, 0x5000, 0x7fff, 0x8000, 0xfffc, 0xffff] as const;

function changed(input: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = input.slice();
  if (copy.length > 0) change(copy);
  return copy;
}

function spliced(input: Uint8Array, start: number, end: number, middle: Uint8Array): Uint8Array {
  const result = new Uint8Array(start + middle.length + input.length - end);
  result.set(input.subarray(0, start));
  result.set(middle, start);
  result.set(input.subarray(end), start + middle.length);
  return result;
}

/** A piece of up to `max` bytes. */
function piece(input: Uint8Array, random: Random, max: number): Uint8Array {
  const start = random.below(input.length + 1);
  return input.subarray(start, Math.min(input.length, start + 1 + random.below(max)));
}

/** A place that is a multiple of four from the start, as attributes are, or any. */
function place(input: Uint8Array, random: Random): number {
  const at = random.below(input.length + 1);
  return random.oneIn(2) ? at : at & ~3;
}

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  (input, random) =>
    changed(input, (copy) => {
      const at = random.below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    }),
  (input, random) =>
    changed(input, (copy) => {
      copy[random.below(copy.length)] = random.oneIn(2) ? random.pick(BYTES) : random.below(256);
    }),
  (input, random) =>
    changed(input, (copy) => {
      const at = place(copy, random);
      const word = random.oneIn(4) ? random.below(0x10000) : random.pick(WORDS);
      if (at < copy.length) copy[at] = word >> 8;
      if (at + 1 < copy.length) copy[at + 1] = word;
    }),
  (input, random) =>
    changed(input, (copy) => {
      const at = random.below(copy.length);
      copy[at] = (copy[at] ?? 0) + random.pick([-4, -1, 1, 4]);
    }),
  (input, random) => {
    const start = place(input, random);
    return spliced(input, start, Math.min(input.length, start + 1 + random.below(16)), new Uint8Array());
  },
  (input, random) => spliced(input, place(input, random), input.length, new Uint8Array()),
  (input, random) => {
    const at = place(input, random);
    return spliced(input, at, at, new Uint8Array(1 + random.below(8)).fill(random.pick(BYTES)));
  },
  (input, random) => {
    const at = place(input, random);
    return spliced(input, at, at, piece(input, random, 64));
  },
  (input, random, other) => {
    const at = place(input, random);
    return spliced(input, at, at, piece(other, random, 64));
  },
  (input, random, other) => spliced(input, place(input, random), input.length, other.subarray(place(other, random))),
];

/** A changed copy of `input`, a little or a lot, and at most `maxLength` bytes long. */
export function mutate(input: Uint8Array, other: Uint8Array, random: Random, maxLength: number): Uint8Array {
  let result = input;
  const rounds = 1 << random.below(4);
  for (let i = 0; i < rounds; i++) result = random.pick(MUTATIONS)(result, random, other);
  return result.length > maxLength ? result.slice(0, maxLength) : result;
}
