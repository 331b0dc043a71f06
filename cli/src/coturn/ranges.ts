import { formatIp, parseIp } from "@culvert/stun";

/** Addresses `first` to `last` of one family, as numbers. */
export interface IpSpan {
  readonly bits: 32 | 128;
  readonly first: bigint;
  readonly last: bigint;
}

/** Reads `ip`, `ip-ip` (as coturn has it) or `ip/length`. Undefined when it is none of them, or backwards. */
export function parseSpan(text: string): IpSpan | undefined {
  const [from = "", to, ...rest] = text.split("-").map((part) => part.trim());
  if (rest.length > 0) return undefined;
  if (to === undefined) return parsePrefix(from);
  const [first, last] = [parseNumber(from), parseNumber(to)];
  if (first === undefined || last === undefined || first.bits !== last.bits || first.value > last.value)
    return undefined;
  return { bits: first.bits, first: first.value, last: last.value };
}

function parsePrefix(text: string): IpSpan | undefined {
  const [ip = "", length, ...rest] = text.split("/");
  const number = parseNumber(ip);
  if (number === undefined || rest.length > 0) return undefined;
  const { bits, value } = number;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return undefined;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return undefined;
  const size = 1n << BigInt(bits - prefix);
  const first = value - (value % size);
  return { bits, first, last: first + size - 1n };
}

function parseNumber(ip: string): { readonly bits: 32 | 128; readonly value: bigint } | undefined {
  const bytes = parseIp(ip);
  if (bytes === undefined) return undefined;
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { bits: bytes.length === 4 ? 32 : 128, value };
}

/** What of `spans` is in none of `holes`. */
export function withoutSpans(spans: readonly IpSpan[], holes: readonly IpSpan[]): readonly IpSpan[] {
  return holes.reduce<readonly IpSpan[]>(
    (rest, hole) => rest.flatMap((span) => (span.bits === hole.bits ? cut(span, hole) : [span])),
    spans,
  );
}

function cut({ bits, first, last }: IpSpan, hole: IpSpan): readonly IpSpan[] {
  const parts = [
    { bits, first, last: lesser(hole.first - 1n, last) },
    { bits, first: greater(hole.last + 1n, first), last },
  ];
  return parts.filter((part) => part.first <= part.last);
}

/** What of `spans` is in one of `others`. */
export function commonSpans(spans: readonly IpSpan[], others: readonly IpSpan[]): readonly IpSpan[] {
  return spans.flatMap((span) =>
    others.flatMap((other) => {
      if (span.bits !== other.bits) return [];
      const [first, last] = [greater(span.first, other.first), lesser(span.last, other.last)];
      return first <= last ? [{ bits: span.bits, first, last }] : [];
    }),
  );
}

/** The fewest CIDR ranges that hold exactly the spans, ordered, each once. */
export function cidrsOf(spans: readonly IpSpan[]): readonly string[] {
  return merged(spans).flatMap(({ bits, first, last }) => {
    const ranges: string[] = [];
    for (let from = first; from <= last; ) {
      let length = bits;
      while (length > 0) {
        const size = 1n << BigInt(bits - length + 1);
        if (from % size !== 0n || from + size - 1n > last) break;
        length -= 1;
      }
      ranges.push(`${formatIp(bytesOf(from, bits))}/${length}`);
      from += 1n << BigInt(bits - length);
    }
    return ranges;
  });
}

function merged(spans: readonly IpSpan[]): readonly IpSpan[] {
  const sorted = [...spans].sort((a, b) => a.bits - b.bits || (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: IpSpan[] = [];
  for (const span of sorted) {
    const before = result.at(-1);
    if (before === undefined || before.bits !== span.bits || span.first > before.last + 1n) result.push(span);
    else if (span.last > before.last) result[result.length - 1] = { ...before, last: span.last };
  }
  return result;
}

function bytesOf(value: bigint, bits: number): Uint8Array {
  return Uint8Array.from({ length: bits / 8 }, (_, index) => Number((value >> BigInt(bits - 8 - index * 8)) & 0xffn));
}

// Math.min and Math.max take no bigint.
function lesser(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

function greater(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
