import { formatIp, type TransportAddress } from "@culvert/stun";
import type { IcmpError, RelayId } from "@culvert/turn";
import type { MeshPeerId } from "../mesh-port.ts";

/** Takes the events that `takeEvents` gave. `listener` is as the addon numbers it. Bytes are views of what was packed. */
export interface EventHandlers {
  clientInput(listener: number, remote: TransportAddress, bytes: Buffer): void;
  peerError(relay: RelayId, peer: TransportAddress, icmp: IcmpError): void;
  /** A message of a client that came over the mesh. For a listener of streams it was not looked at yet. */
  viaMesh(listener: number, remote: TransportAddress, peer: MeshPeerId, bytes: Buffer): void;
  meshControl(peer: MeshPeerId, bytes: Buffer): void;
  /** An answer for the client of a stream that came over the mesh. */
  meshToStream(listener: number, remote: TransportAddress, bytes: Buffer): void;
  /** A message for the client of a stream; `payload` bytes of it are application data. */
  toStream(listener: number, remote: TransportAddress, relay: RelayId, payload: number, bytes: Buffer): void;
}

const CLIENT_INPUT = 1;
const PEER_ERROR = 2;
const TO_STREAM = 3;
const VIA_MESH = 4;
const MESH_CONTROL = 5;

/** Reads packed events, little endian. */
export function unpackEvents(packed: Buffer, handlers: EventHandlers): void {
  const reader = new Reader(packed);
  while (!reader.done) {
    const code = reader.u8();
    if (code === CLIENT_INPUT) {
      handlers.clientInput(reader.u32(), reader.address(), reader.bytes());
    } else if (code === PEER_ERROR) {
      const [relay, peer] = [reader.f64(), reader.address()];
      handlers.peerError(relay, peer, { type: reader.u8(), code: reader.u8(), data: reader.u32() });
    } else if (code === TO_STREAM) {
      handlers.toStream(reader.u32(), reader.address(), reader.f64(), reader.u32(), reader.bytes());
    } else if (code === VIA_MESH) {
      handlers.viaMesh(reader.u32(), reader.address(), reader.f64(), reader.bytes());
    } else if (code === MESH_CONTROL) {
      handlers.meshControl(reader.f64(), reader.bytes());
    } else {
      handlers.meshToStream(reader.u32(), reader.address(), reader.bytes());
    }
  }
}

export function unpackAddress(packed: Buffer): TransportAddress {
  return new Reader(packed).address();
}

class Reader {
  readonly #packed: Buffer;
  #at = 0;

  constructor(packed: Buffer) {
    this.#packed = packed;
  }

  get done(): boolean {
    return this.#at >= this.#packed.length;
  }

  address(): TransportAddress {
    const length = this.u8() === 4 ? 4 : 16;
    const start = this.#skip(16);
    const ip = formatIp(this.#packed.subarray(start, start + length));
    return { ip, port: this.#packed.readUInt16LE(this.#skip(2)) };
  }

  bytes(): Buffer {
    const length = this.u32();
    const start = this.#skip(length);
    return this.#packed.subarray(start, start + length);
  }

  u8(): number {
    return this.#packed.readUInt8(this.#skip(1));
  }

  u32(): number {
    return this.#packed.readUInt32LE(this.#skip(4));
  }

  f64(): number {
    return this.#packed.readDoubleLE(this.#skip(8));
  }

  #skip(length: number): number {
    this.#at += length;
    return this.#at - length;
  }
}
