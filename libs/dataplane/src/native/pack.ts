import { parseIp, type TransportAddress } from "@culvert/stun";
import type {
  AllocationEntry,
  Bind,
  ChannelEntry,
  PermissionEntry,
  RelayId,
  Revoke,
  SendToPeer,
  Unbind,
} from "@culvert/turn";

const IP_LENGTH = 17;
export const ADDRESS_LENGTH: number = IP_LENGTH + 2;
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

  bind({ relay, local }: Bind): void {
    this.#relay(Code.bind, relay);
    this.#address(local);
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
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
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
