import type { Board } from "../board.ts";
import { CREDENTIALS } from "./credentials.ts";
import { FAILURES } from "./failures.ts";
import { FLEET } from "./fleet.ts";
import { RELAY } from "./relay.ts";
import { SIGNALING } from "./signaling.ts";

export const BOARDS: readonly Board[] = [FLEET, RELAY, SIGNALING, CREDENTIALS, FAILURES];
