export type PacketKind = "stun" | "zrtp" | "dtls" | "channel" | "quic" | "rtp" | "unknown";

/** First byte to kind: RFC 7983 section 7 with the update of RFC 9443 section 3, inclusive ranges. */
const RANGES: readonly (readonly [first: number, last: number, kind: PacketKind])[] = [
  [0, 3, "stun"],
  [16, 19, "zrtp"],
  [20, 63, "dtls"],
  [64, 79, "channel"],
  [80, 127, "quic"],
  [128, 191, "rtp"],
  [192, 255, "quic"],
];

const KINDS: readonly PacketKind[] = Array.from(
  { length: 256 },
  (_, byte) => RANGES.find(([first, last]) => byte >= first && byte <= last)?.[2] ?? "unknown",
);

/** What a datagram is by its first byte. "rtp" includes RTCP. An empty one is "unknown". */
export function classify(bytes: Uint8Array): PacketKind {
  const first = bytes[0];
  return first === undefined ? "unknown" : (KINDS[first] ?? "unknown");
}
