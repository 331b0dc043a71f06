import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
/** The `culvert` command, as built by `tsc -b`. */
export const CULVERT: string = fileURLToPath(new URL("../../cli/dist/main.js", import.meta.url));
