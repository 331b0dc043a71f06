import { type Script, script } from "../script.ts";
import {
  ACQUIRE,
  CLOCK,
  ERA,
  GUARD,
  LIST_RELAYS,
  LIST_SLOTS,
  RELEASE,
  RENEW,
  SLOTS,
  UNREGISTER,
} from "./lua-leases.ts";
import { ADMIT, ENDED, FETCH, IDS_OF_USER, OWNER, PAGE, QUOTAS, RECORDS, ROWS, WRITE } from "./lua-records.ts";

const PREFIX = "local p = KEYS[1]";

type FleetScript =
  | "time"
  | "acquire"
  | "renew"
  | "release"
  | "slots"
  | "relays"
  | "unregister"
  | "admit"
  | "write"
  | "page"
  | "fetch"
  | "owner"
  | "idsOfUser";

/** Every script of the fleet's state. */
export const FLEET_SCRIPTS: Readonly<Record<FleetScript, Script>> = {
  time: script(CLOCK, "return now"),
  acquire: script(CLOCK, ERA, SLOTS, ACQUIRE),
  renew: script(CLOCK, ERA, SLOTS, RENEW),
  release: script(CLOCK, SLOTS, RELEASE),
  slots: script(CLOCK, SLOTS, LIST_SLOTS),
  relays: script(PREFIX, LIST_RELAYS),
  unregister: script(PREFIX, UNREGISTER),
  admit: script(CLOCK, ERA, SLOTS, GUARD, RECORDS, ENDED, QUOTAS, ADMIT),
  write: script(CLOCK, GUARD, RECORDS, WRITE),
  page: script(PREFIX, ROWS, PAGE),
  fetch: script(PREFIX, ROWS, FETCH),
  owner: script(PREFIX, OWNER),
  idsOfUser: script(PREFIX, IDS_OF_USER),
};
