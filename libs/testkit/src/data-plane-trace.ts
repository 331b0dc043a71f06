import { crc32, gunzipSync, gzipSync } from "node:zlib";
import type { DataPlane, ListenerSpec } from "@culvert/dataplane";
import { decodeChannelData, readSendIndication, type TransportAddress } from "@culvert/stun";
import type { ClientTuple, RelayId } from "@culvert/turn";

export type PlaneCommand = Parameters<DataPlane["apply"]>[0][number];

/** What went into a data plane at one moment. */
export type TraceStep = {
  /** Milliseconds since the trace begins. */
  readonly at: number;
} & (
  | { readonly type: "commands"; readonly commands: readonly PlaneCommand[] }
  /** One datagram, or one frame of a stream. */
  | {
      readonly type: "from-client";
      readonly client: ClientTuple;
      readonly bytes: Uint8Array;
      /** It went to another relay, and what came there is no step of its own. */
      readonly hops?: boolean;
    }
  | {
      readonly type: "from-peer";
      readonly relay: RelayId;
      readonly from: TransportAddress;
      readonly bytes: Uint8Array;
    }
);

/** A session as a data plane has seen it. Deadlines of commands count from the beginning of the trace. */
export interface DataPlaneTrace {
  /** Who the clients were. */
  readonly recorded: string;
  readonly listeners: readonly ListenerSpec[];
  readonly steps: readonly TraceStep[];
}

/** Application data beyond this is not kept: zeros stand in for it. */
const KEPT_BYTES = 32;
/** The header of the attribute (RFC 8489 section 14.7), and what its CRC is combined with. */
const FINGERPRINT = 0x8028_0004;
const FINGERPRINT_XOR = 0x5354_554e;

/** Compressed: one line of JSON for what was recorded, and one for each step. */
export function encodeTrace({ steps, ...head }: DataPlaneTrace): Uint8Array {
  return gzipSync([head, ...steps].map((line) => `${JSON.stringify(line, pack)}\n`).join(""), { level: 9 });
}

/** Throws for what `encodeTrace` has not written. */
export function decodeTrace(encoded: Uint8Array): DataPlaneTrace {
  const lines = gunzipSync(encoded).toString().trimEnd().split("\n");
  const [head, ...steps] = lines.map((line) => JSON.parse(line, unpack));
  return { ...head, steps };
}

/** A client's message without the greater part of the application data in it. */
export function abridgedMessage(bytes: Uint8Array): Uint8Array {
  const short = new Uint8Array(bytes);
  const data = applicationData(short);
  data?.fill(0, Math.min(KEPT_BYTES, data.length));
  if (data !== undefined) signAgain(short);
  return short;
}

/** Puts the FINGERPRINT of a STUN message right, where it has one, after something in the message was changed. */
export function signAgain(bytes: Uint8Array): void {
  const at = bytes.length - 8;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (at < 20 || (bytes[0] ?? 0xff) > 3 || view.getUint32(at) !== FINGERPRINT) return;
  view.setUint32(at + 4, (crc32(bytes.subarray(0, at)) ^ FINGERPRINT_XOR) >>> 0);
}

/** Application data without its greater part. */
export function abridgedData(data: Uint8Array): Uint8Array {
  return new Uint8Array(data).fill(0, Math.min(KEPT_BYTES, data.length));
}

/** Where the application data is in a client's message; undefined when it has none. */
export function applicationData(bytes: Uint8Array): Uint8Array | undefined {
  return decodeChannelData(bytes)?.data ?? readSendIndication(bytes)?.data;
}

/** The last of the bytes that are not zero, and how many zeros follow. */
function pack(_key: string, value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  const end = value.findLastIndex((byte) => byte !== 0) + 1;
  const text = Buffer.from(value.subarray(0, end)).toString("base64");
  return end === value.length ? { base64: text } : { base64: text, zeros: value.length - end };
}

function unpack(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("base64" in value)) return value;
  const { base64, zeros = 0 } = value as { readonly base64: string; readonly zeros?: number };
  const bytes = Buffer.from(base64, "base64");
  return new Uint8Array(Buffer.concat([bytes, Buffer.alloc(zeros)]));
}
