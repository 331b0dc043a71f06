import { fileURLToPath } from "node:url";

/** The `culvert` command. It runs what `tsc -b` built. */
export const CULVERT: string = fileURLToPath(new URL("../../cli/bin/culvert.js", import.meta.url));
