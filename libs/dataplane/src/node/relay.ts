import type {
  AllocationEntry,
  Bind,
  ChannelEntry,
  LeaseId,
  LocalAddress,
  Millis,
  PermissionEntry,
  PortRange,
  RelayId,
} from "@culvert/turn";
import { AddressMap } from "./address-map.ts";
import type { Client } from "./client.ts";
import { RelayTally } from "./tally.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { UdpSocket } from "./udp-socket.ts";

export interface Permission {
  readonly ip: string;
  readonly wireIp: string;
  readonly deadline: Millis;
  readonly ports: PortRange | undefined;
  readonly exceptPorts: readonly number[];
}

export interface Channel {
  readonly relay: Relay;
  readonly number: number;
  /** The peer as the client knows it. */
  readonly ip: string;
  readonly port: number;
  /** Where its packets go to and come from. */
  readonly wireIp: string;
  readonly deadline: Millis;
}

export const permits = ({ ports, exceptPorts }: Permission, port: number): boolean =>
  (ports === undefined || (port >= ports.min && port <= ports.max)) && !exceptPorts.includes(port);

/** One relay socket with its part of the table. */
export class Relay {
  readonly id: RelayId;
  readonly local: LocalAddress;
  readonly socket: UdpSocket;
  readonly tally: RelayTally;
  lease: LeaseId | undefined;
  /** Whose it is; undefined before the allocation entry, and after the client's stream has ended. */
  client: Client | undefined;
  deadline: Millis = 0;
  bucketToPeers: TokenBucket | undefined;
  bucketToClient: TokenBucket | undefined;
  /** By the address that the client knows. */
  readonly permissions: Map<string, Permission> = new Map();
  /** By the address on the wire; several that clients know may be mapped to one, and then come before it. */
  readonly #byWire: Map<string, readonly Permission[]> = new Map();
  readonly channels: Map<number, Channel> = new Map();
  readonly #channelByWire: AddressMap<Channel> = new AddressMap();

  constructor({ relay, local, lease, counters }: Bind, socket: UdpSocket) {
    this.id = relay;
    this.local = local;
    this.lease = lease;
    this.tally = new RelayTally(counters);
    this.socket = socket;
  }

  setAllocation(entry: AllocationEntry, now: Millis): void {
    this.deadline = entry.deadline;
    const rate = entry.maxBytesPerSecond;
    if (rate === undefined) {
      this.bucketToPeers = undefined;
      this.bucketToClient = undefined;
      return;
    }
    if (this.bucketToPeers === undefined || this.bucketToClient === undefined) {
      this.bucketToPeers = new TokenBucket(rate, now);
      this.bucketToClient = new TokenBucket(rate, now);
      return;
    }
    this.bucketToPeers.setRate(rate);
    this.bucketToClient.setRate(rate);
  }

  setPermission(entry: PermissionEntry): void {
    this.deletePermission(entry.ip);
    const { ip, wireIp = ip, deadline, ports, exceptPorts = [] } = entry;
    const permission: Permission = { ip, wireIp, deadline, ports, exceptPorts };
    this.permissions.set(ip, permission);
    const others = this.#byWire.get(wireIp) ?? [];
    this.#byWire.set(wireIp, wireIp === ip ? [...others, permission] : [permission, ...others]);
  }

  deletePermission(ip: string): void {
    const permission = this.permissions.get(ip);
    if (permission === undefined) return;
    this.permissions.delete(ip);
    const rest = this.#byWire.get(permission.wireIp)?.filter((other) => other !== permission) ?? [];
    if (rest.length === 0) this.#byWire.delete(permission.wireIp);
    else this.#byWire.set(permission.wireIp, rest);
  }

  /** The permission under which a packet from this address comes in: a live one if there is one. */
  permissionFrom(wireIp: string, port: number, now: Millis): Permission | undefined {
    const candidates = this.#byWire.get(wireIp);
    if (candidates === undefined) return undefined;
    let expired: Permission | undefined;
    for (const permission of candidates) {
      if (!permits(permission, port)) continue;
      if (permission.deadline > now) return permission;
      expired = permission;
    }
    return expired;
  }

  setChannel(entry: ChannelEntry): void {
    this.deleteChannel(entry.channel);
    const { ip, port } = entry.peer;
    const { wireIp = ip, deadline } = entry;
    const channel: Channel = { relay: this, number: entry.channel, ip, port, wireIp, deadline };
    this.channels.set(channel.number, channel);
    this.#channelByWire.set(wireIp, port, channel);
    this.client?.learnChannel(channel);
  }

  deleteChannel(number: number): void {
    const channel = this.channels.get(number);
    if (channel === undefined) return;
    this.channels.delete(number);
    this.#channelByWire.delete(channel.wireIp, channel.port, channel);
    this.client?.forgetChannel(channel);
  }

  channelFrom(wireIp: string, port: number): Channel | undefined {
    return this.#channelByWire.get(wireIp, port);
  }
}
