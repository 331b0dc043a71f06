import { formatIp, parseIp, type TransportAddress } from "@culvert/stun";

/** What one datagram of the mesh says, once it is opened. */
export type MeshFrame =
  /** A message that a client has sent, for the relay that owns the client; or an answer to it, for the relay that it came by. */
  | {
      readonly kind: "client-packet" | "client-reply";
      readonly frontend: number;
      readonly client: TransportAddress;
      readonly bytes: Buffer;
    }
  /** A datagram that a peer has sent to a relayed address. */
  | {
      readonly kind: "peer-packet";
      readonly relayed: TransportAddress;
      readonly peer: TransportAddress;
      readonly bytes: Buffer;
    }
  | { readonly kind: "control"; readonly bytes: Buffer };

const Code = { "client-packet": 1, "client-reply": 2, "peer-packet": 3, control: 4 } as const;
/** Set in the first byte where the addresses are of IPv6. */
const V6 = 0x80;

/** The code, the client's port, the frontend and the client's address: before a client's message. */
export function clientHead(
  kind: "client-packet" | "client-reply",
  frontend: number,
  { ip, port }: TransportAddress,
): Buffer {
  const address = addressOf(ip);
  const head = Buffer.allocUnsafe(7 + address.length);
  head.writeUInt8(codeOf(kind, address), 0);
  head.writeUInt16BE(port, 1);
  head.writeUInt32BE(frontend, 3);
  head.set(address, 7);
  return head;
}

/** The code, both ports and both addresses, the peer's last: before a peer's datagram. */
export function peerHead(relayed: TransportAddress, peer: TransportAddress): Buffer {
  const [to, from] = [addressOf(relayed.ip), addressOf(peer.ip)];
  const head = Buffer.allocUnsafe(5 + 2 * from.length);
  head.writeUInt8(codeOf("peer-packet", from), 0);
  head.writeUInt16BE(relayed.port, 1);
  head.writeUInt16BE(peer.port, 3);
  head.set(to, 5);
  head.set(from, 5 + to.length);
  return head;
}

export const CONTROL_HEAD: Uint8Array = Uint8Array.of(Code.control);

/** Undefined for what is none. Bytes are views of `frame`. */
export function readFrame(frame: Buffer): MeshFrame | undefined {
  const first = frame.length === 0 ? 0 : frame.readUInt8(0);
  const length = (first & V6) === 0 ? 4 : 16;
  const address = (at: number): string => formatIp(frame.subarray(at, at + length));
  switch (first & ~V6) {
    case Code["client-packet"]:
    case Code["client-reply"]: {
      const start = 7 + length;
      if (frame.length < start) return undefined;
      return {
        kind: (first & ~V6) === Code["client-packet"] ? "client-packet" : "client-reply",
        client: { ip: address(7), port: frame.readUInt16BE(1) },
        frontend: frame.readUInt32BE(3),
        bytes: frame.subarray(start),
      };
    }
    case Code["peer-packet"]: {
      const start = 5 + 2 * length;
      if (frame.length < start) return undefined;
      return {
        kind: "peer-packet",
        relayed: { ip: address(5), port: frame.readUInt16BE(1) },
        peer: { ip: address(5 + length), port: frame.readUInt16BE(3) },
        bytes: frame.subarray(start),
      };
    }
    case Code.control:
      return first === Code.control ? { kind: "control", bytes: frame.subarray(1) } : undefined;
    default:
      return undefined;
  }
}

function codeOf(kind: keyof typeof Code, address: Uint8Array): number {
  return Code[kind] | (address.length === 4 ? 0 : V6);
}

function addressOf(ip: string): Uint8Array {
  const bytes = parseIp(ip);
  if (bytes === undefined) throw new RangeError(`not an IP address: ${ip}`);
  return bytes;
}
