import type { FuzzTarget } from "../src/target.ts";

/** Throws for three bytes in a row only: each right one reaches code that leads to the next. */
function parse(input: Uint8Array): number {
  let depth = 0;
  if (input[0] === 0xca) {
    depth++;
    if (input[1] === 0x5e) {
      depth++;
      if (input[2] === 0xb1) throw new Error("found it");
    }
  }
  return depth;
}

export const planted: FuzzTarget = { name: "planted", maxLength: 8, covers: ["/fuzz/test/planted.ts"], run: parse };
