import { ErrorCode, familyOf } from "@culvert/stun";
import type { Allocation } from "./allocation.ts";
import type { Core } from "./core.ts";
import type { AllowedPeer } from "./permissions.ts";

export type AllowedPeerResult =
  | { readonly ok: true; readonly peer: AllowedPeer }
  | { readonly ok: false; readonly code: number };

/** The one check that every path to a peer goes through: 443 for another family, 403 for a forbidden address. */
export function allowedPeer(core: Core, allocation: Allocation, method: number, ip: string): AllowedPeerResult {
  const relay = allocation.relays.get(familyOf(ip));
  if (relay === undefined) return { ok: false, code: ErrorCode.PeerAddressFamilyMismatch };
  const decision = core.guard.judge(ip, allocation.onlyPeers);
  if (decision.allowed) return { ok: true, peer: { relay, ip, decision } };
  peerDenied(core, allocation, method, ip, decision.rule);
  return { ok: false, code: ErrorCode.Forbidden };
}

export function peerDenied(core: Core, allocation: Allocation, method: number, ip: string, rule: string): void {
  core.out.event({ type: "event", name: "peer-denied", ...allocation.owner, method, ip, rule });
}
