import { BACKENDS } from "./alerts-backends.ts";
import { DRAINS, MESH, SLOTS } from "./alerts-fleet.ts";
import { AVAILABILITY, CAPACITY, DATA_PLANE, REQUESTS } from "./alerts-relay.ts";
import { CREDENTIAL, KEYS, SIGNALING, STUN } from "./alerts-services.ts";
import type { AlertGroup } from "./rule.ts";

export const ALERT_GROUPS: readonly AlertGroup[] = [
  { name: "culvert-availability", alerts: AVAILABILITY },
  { name: "culvert-capacity", alerts: CAPACITY },
  { name: "culvert-requests", alerts: REQUESTS },
  { name: "culvert-data-plane", alerts: DATA_PLANE },
  { name: "culvert-slots", alerts: SLOTS },
  { name: "culvert-mesh", alerts: MESH },
  { name: "culvert-drains", alerts: DRAINS },
  { name: "culvert-backends", alerts: BACKENDS },
  { name: "culvert-keys", alerts: KEYS },
  { name: "culvert-credential", alerts: CREDENTIAL },
  { name: "culvert-signaling", alerts: SIGNALING },
  { name: "culvert-stun", alerts: STUN },
];
