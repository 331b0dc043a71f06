import { driveRestore } from "@culvert/testkit";
import type { FuzzTarget } from "../src/target.ts";

/** What storage may give back in the place of a snapshot or a ticket: see `driveRestore`. */
export const restore: FuzzTarget = {
  name: "restore",
  maxLength: 2048,
  covers: ["/libs/turn/src/restore", "/libs/turn/src/parse-snapshot", "/libs/turn/src/tickets"],
  run: driveRestore,
};
