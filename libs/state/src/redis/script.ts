import { createHash } from "node:crypto";

/** A Lua script. It runs as one atomic step; KEYS[1] is what all keys begin with. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** A script out of pieces, the functions before their use. */
export function script(...pieces: readonly string[]): Script {
  const lua = pieces.map((piece) => piece.trim()).join("\n");
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}
