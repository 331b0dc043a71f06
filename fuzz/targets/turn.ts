import { driveTurnServer } from "@culvert/testkit";
import type { FuzzTarget } from "../src/target.ts";

/** A TURN server in a game of several clients, peers, operators and time: see `driveTurnServer`. */
export const turn: FuzzTarget = {
  name: "turn",
  maxLength: 1024,
  covers: ["/libs/turn/"],
  run: driveTurnServer,
};
