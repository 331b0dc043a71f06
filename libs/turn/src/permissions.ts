import type { Allocation, Permission, Relay } from "./allocation.ts";
import { publishChannel, removeChannel } from "./channels.ts";
import type { Core } from "./core.ts";
import type { Millis } from "./io.ts";
import { allowsPort, type PeerDecision, samePorts } from "./peer-guard.ts";
import { take } from "./rate-limit.ts";

/** RFC 8656 section 9. */
export const PERMISSION_LIFETIME_MS = 300_000;

/** A peer IP address that may get a permission. */
export interface AllowedPeer {
  readonly relay: Relay;
  readonly ip: string;
  readonly decision: PeerDecision & { readonly allowed: true };
}

/** Whether the caps leave room for permissions to these peers; takes from the rate of new peers what it needs. */
export function hasRoomForPermissions(
  core: Core,
  allocation: Allocation,
  peers: readonly AllowedPeer[],
  now: Millis,
): boolean {
  const fresh = new Set<string>();
  for (const { relay, ip } of peers) if (!relay.permissions.has(ip)) fresh.add(ip);
  let held = 0;
  for (const relay of allocation.relays.values()) held += relay.permissions.size;
  if (held + fresh.size > core.config.limits.permissionsPerAllocation) return false;
  return takeNewPeers(core, allocation, fresh.size, now);
}

/** Takes `count` from the rate of new peers of an allocation. */
export function takeNewPeers(core: Core, allocation: Allocation, count: number, now: Millis): boolean {
  if (count === 0) return true;
  const { newPeersPerSecond, newPeersBurst } = core.config.limits;
  const next = take(allocation.newPeersEmptyAt, { perSecond: newPeersPerSecond, burst: newPeersBurst }, count, now);
  if (next === undefined) return false;
  allocation.newPeersEmptyAt = next;
  return true;
}

/** Installs a permission, or refreshes it. */
export function installPermission(core: Core, peer: AllowedPeer, now: Millis): void {
  const { relay, ip, decision } = peer;
  const deadline = now + PERMISSION_LIFETIME_MS;
  const existing = relay.permissions.get(ip);
  core.allocations.changed(relay.allocation);
  if (existing !== undefined) {
    existing.ports = decision.ports;
    core.deadlines.move(existing.expiry, deadline);
    publishPermission(core, existing);
    return;
  }
  putPermission(core, peer, deadline);
  const { tenant, user, kid } = relay.allocation.owner;
  core.out.event({
    type: "event",
    name: "permission-created",
    tenant,
    user,
    kid,
    allocation: relay.allocation.id,
    relay: relay.socket.id,
    ip,
  });
}

/** Adds a permission that is not there. */
export function putPermission(core: Core, { relay, ip, decision }: AllowedPeer, deadline: Millis): void {
  const permission: Permission = {
    relay,
    ip,
    wireIp: decision.wireIp,
    ports: decision.ports,
    expiry: core.deadlines.add(deadline, () => removePermission(core, permission)),
  };
  relay.permissions.set(ip, permission);
  publishPermission(core, permission);
}

/** Judges a live permission again, and its channels with it. */
export function recheckPermission(core: Core, permission: Permission): void {
  const { relay, ip } = permission;
  const { allocation } = relay;
  const decision = core.guard.judge(ip, allocation.onlyPeers);
  if (decision.allowed) {
    const moved = decision.wireIp !== permission.wireIp;
    if (!moved && samePorts(decision.ports, permission.ports)) return;
    permission.ports = decision.ports;
    permission.wireIp = decision.wireIp;
    publishPermission(core, permission);
  } else {
    removePermission(core, permission);
    core.allocations.changed(allocation);
    core.out.event({
      type: "event",
      name: "permission-revoked",
      ...allocation.owner,
      allocation: allocation.id,
      relay: relay.socket.id,
      ip,
    });
  }
  for (const channel of [...allocation.channels.values()]) {
    if (channel.peer.ip !== ip) continue;
    if (!decision.allowed || !allowsPort(decision.ports, channel.peer.port)) {
      removeChannel(core, channel);
      core.allocations.changed(allocation);
    } else if (channel.wireIp !== decision.wireIp) {
      channel.wireIp = decision.wireIp;
      publishChannel(core, channel);
    }
  }
}

function removePermission(core: Core, permission: Permission): void {
  core.deadlines.remove(permission.expiry);
  permission.relay.permissions.delete(permission.ip);
  core.out.push({
    type: "revoke",
    key: { kind: "permission", relay: permission.relay.socket.id, ip: permission.ip },
  });
}

function publishPermission(core: Core, permission: Permission): void {
  const { relay, ip, wireIp, ports, expiry } = permission;
  core.out.push({
    type: "upsert",
    entry: {
      kind: "permission",
      relay: relay.socket.id,
      ip,
      deadline: expiry.at,
      wireIp,
      ports: ports.only,
      exceptPorts: ports.except.length === 0 ? undefined : ports.except,
    },
  });
}
