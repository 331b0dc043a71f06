import { parseIp, type TransportAddress } from "@culvert/stun";
import type {
  AllocationEntry,
  Bind,
  ChannelEntry,
  Lease,
  PermissionEntry,
  RelayId,
  Revoke,
  SendToPeer,
  Unbind,
} from "@culvert/turn";
import type { ForeignPortsEntry, MeshPeerId } from "../mesh-port.ts";

const IP_LENGTH = 17;
export const ADDRESS_LENGTH: number = IP_LENGTH + 2;
/** With its id. */
const KEY_LENGTH = 1 + 32;
const ANY_PORT = { min: 0, max: 0xffff } as const;

/** What each packed command begins with. */
const Code = {
  sendToClient: 1,
  sendToPeer: 2,
  bind: 3,
  unbind: 4,
  allocation: 5,
  permission: 6,
  channel: 7,
  revokePermission: 8,
  revokeChannel: 9,
  lease: 10,
  meshPeer: 11,
  meshPeerGone: 12,
  meshKeys: 13,
  meshSend: 14,
  forward: 15,
  foreignClient: 16,
  revokeForeignClient: 17,
  foreignPorts: 18,
  revokeForeignPorts: 19,
} as const;

/** Commands, packed one after the other as the addon reads them. Little endian. */
export class CommandPacker {
  #buffer: Buffer = Buffer.allocUnsafe(16 * 1024);
  #length = 0;

  get empty(): boolean {
    return this.#length === 0;
  }

  /** What was packed since the last call. Good until the next command. */
  take(): Buffer {
    const packed = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    return packed;
  }

  /** `listener` as the addon numbers it, here and below. */
  sendToClient(listener: number, to: TransportAddress, bytes: Uint8Array): void {
    this.#u8(Code.sendToClient);
    this.#u32(listener);
    this.#address(to);
    this.#bytes(bytes);
  }

  sendToPeer({ relay, peer, dontFragment, bytes }: SendToPeer): void {
    this.#relay(Code.sendToPeer, relay);
    this.#address(peer);
    this.#u8(dontFragment === true ? 1 : 0);
    this.#bytes(bytes);
  }

  bind({ relay, local, lease = NaN, counters }: Bind): void {
    this.#relay(Code.bind, relay);
    this.#address(local);
    this.#f64(lease);
    this.#f64(counters?.packetsToPeers ?? NaN);
    this.#f64(counters?.bytesToPeers ?? NaN);
    this.#f64(counters?.packetsToClient ?? NaN);
    this.#f64(counters?.bytesToClient ?? NaN);
  }

  lease({ lease, deadline }: Lease): void {
    this.#u8(Code.lease);
    this.#f64(lease);
    this.#f64(deadline);
  }

  unbind({ relay }: Unbind): void {
    this.#relay(Code.unbind, relay);
  }

  allocation(listener: number, { relay, client, family, deadline, maxBytesPerSecond = NaN }: AllocationEntry): void {
    this.#relay(Code.allocation, relay);
    this.#u32(listener);
    this.#address(client.remote);
    this.#u8(family);
    this.#f64(deadline);
    this.#f64(maxBytesPerSecond);
  }

  permission({ relay, ip, wireIp = ip, deadline, ports = ANY_PORT, exceptPorts = [] }: PermissionEntry): void {
    this.#relay(Code.permission, relay);
    this.#ip(ip);
    this.#ip(wireIp);
    this.#f64(deadline);
    this.#u16(ports.min);
    this.#u16(ports.max);
    this.#u16(exceptPorts.length);
    for (const port of exceptPorts) this.#u16(port);
  }

  channel({ relay, channel, peer, wireIp = peer.ip, deadline }: ChannelEntry): void {
    this.#relay(Code.channel, relay);
    this.#u16(channel);
    this.#address(peer);
    this.#ip(wireIp);
    this.#f64(deadline);
  }

  revoke(key: Revoke["key"]): void {
    if (key.kind === "permission") {
      this.#relay(Code.revokePermission, key.relay);
      this.#ip(key.ip);
    } else {
      this.#relay(Code.revokeChannel, key.relay);
      this.#u16(key.channel);
    }
  }

  /** `keys` packed, here and below: each its id in one byte, then 32 bytes. */
  meshPeer(peer: MeshPeerId, instance: Uint8Array, address: TransportAddress, keys: Uint8Array): void {
    this.#relay(Code.meshPeer, peer);
    this.#raw(instance);
    this.#address(address);
    this.#keys(keys);
  }

  meshPeerGone(peer: MeshPeerId): void {
    this.#relay(Code.meshPeerGone, peer);
  }

  meshKeys(keys: Uint8Array): void {
    this.#u8(Code.meshKeys);
    this.#keys(keys);
  }

  meshSend(peer: MeshPeerId, bytes: Uint8Array): void {
    this.#relay(Code.meshSend, peer);
    this.#bytes(bytes);
  }

  forward(peer: MeshPeerId, listener: number, remote: TransportAddress, bytes: Uint8Array): void {
    this.#relay(Code.forward, peer);
    this.#u32(listener);
    this.#address(remote);
    this.#bytes(bytes);
  }

  foreignClient(listener: number, remote: TransportAddress, peer: MeshPeerId, deadline: number): void {
    this.#u8(Code.foreignClient);
    this.#u32(listener);
    this.#address(remote);
    this.#f64(peer);
    this.#f64(deadline);
  }

  revokeForeignClient(listener: number, remote: TransportAddress): void {
    this.#u8(Code.revokeForeignClient);
    this.#u32(listener);
    this.#address(remote);
  }

  foreignPorts({ ip, ports, peer, deadline }: ForeignPortsEntry): void {
    this.#u8(Code.foreignPorts);
    this.#ip(ip);
    this.#u16(ports.min);
    this.#u16(ports.max);
    this.#f64(peer);
    this.#f64(deadline);
  }

  revokeForeignPorts({ ip, ports }: Pick<ForeignPortsEntry, "ip" | "ports">): void {
    this.#u8(Code.revokeForeignPorts);
    this.#ip(ip);
    this.#u16(ports.min);
    this.#u16(ports.max);
  }

  #keys(keys: Uint8Array): void {
    this.#u8(keys.length / KEY_LENGTH);
    this.#raw(keys);
  }

  #raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  #relay(code: number, relay: RelayId): void {
    this.#u8(code);
    this.#f64(relay);
  }

  #address(address: TransportAddress): void {
    const at = this.#reserve(ADDRESS_LENGTH);
    writeAddress(address, this.#buffer, at);
  }

  #ip(ip: string): void {
    const at = this.#reserve(IP_LENGTH);
    writeIp(ip, this.#buffer, at);
  }

  #bytes(bytes: Uint8Array): void {
    this.#u32(bytes.length);
    this.#raw(bytes);
  }

  #u8(value: number): void {
    const at = this.#reserve(1);
    this.#buffer.writeUInt8(value, at);
  }

  #u16(value: number): void {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
  }

  #u32(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  #f64(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeDoubleLE(value, at);
  }

  #reserve(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    return at;
  }
}

/** One packed address. */
export function packAddress(address: TransportAddress): Buffer {
  const bytes = Buffer.allocUnsafe(ADDRESS_LENGTH);
  writeAddress(address, bytes, 0);
  return bytes;
}

/** One packed IP address. */
export function packIp(ip: string): Buffer {
  const bytes = Buffer.allocUnsafe(IP_LENGTH);
  writeIp(ip, bytes, 0);
  return bytes;
}

function writeAddress({ ip, port }: TransportAddress, buffer: Buffer, at: number): void {
  writeIp(ip, buffer, at);
  buffer.writeUInt16LE(port, at + IP_LENGTH);
}

function writeIp(ip: string, buffer: Buffer, at: number): void {
  const bytes = parseIp(ip);
  if (bytes === undefined) throw new RangeError(`not an IP address: ${ip}`);
  buffer.fill(0, at, at + IP_LENGTH);
  buffer.writeUInt8(bytes.length === 4 ? 4 : 6, at);
  buffer.set(bytes, at + 1);
}
