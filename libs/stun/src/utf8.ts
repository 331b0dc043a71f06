const REPLACEMENT = 0xfffd;

/** The number of bytes that `utf8Write` writes for `text`. */
export function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) ?? 0;
    if (point < 0x80) length++;
    else if (point < 0x800) length += 2;
    else if (point < 0x10000) length += 3;
    else {
      length += 4;
      i++;
    }
  }
  return length;
}

/** Writes `text` at `at` and returns the offset after it. A lone surrogate becomes U+FFFD. */
export function utf8Write(text: string, out: Uint8Array, at: number): number {
  let next = at;
  for (let i = 0; i < text.length; i++) {
    let point = text.codePointAt(i) ?? 0;
    if (point < 0x80) {
      out[next++] = point;
      continue;
    }
    if (point < 0x800) {
      out[next++] = 0xc0 | (point >> 6);
      out[next++] = 0x80 | (point & 0x3f);
      continue;
    }
    if (point >= 0xd800 && point <= 0xdfff) point = REPLACEMENT;
    if (point < 0x10000) {
      out[next++] = 0xe0 | (point >> 12);
    } else {
      out[next++] = 0xf0 | (point >> 18);
      out[next++] = 0x80 | ((point >> 12) & 0x3f);
      i++;
    }
    out[next++] = 0x80 | ((point >> 6) & 0x3f);
    out[next++] = 0x80 | (point & 0x3f);
  }
  return next;
}

/** UTF-8 bytes of `text`. A lone surrogate becomes U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text));
  utf8Write(text, bytes, 0);
  return bytes;
}

function isContinuation(byte: number | undefined): byte is number {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Smallest code point of a sequence of that many bytes: anything below is an overlong form. */
const SMALLEST = [0, 0, 0x80, 0x800, 0x10000] as const;

function sequenceLength(lead: number): 0 | 2 | 3 | 4 {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/** The code point of the sequence of several bytes at `at`, or -1. */
function readSequence(bytes: Uint8Array, at: number, end: number, length: 2 | 3 | 4): number {
  if (at + length > end) return -1;
  let point = (bytes[at] ?? 0) & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) {
    const byte = bytes[at + i];
    if (!isContinuation(byte)) return -1;
    point = (point << 6) | (byte & 0x3f);
  }
  const surrogate = point >= 0xd800 && point <= 0xdfff;
  return surrogate || point < SMALLEST[length] || point > 0x10ffff ? -1 : point;
}

/** As many arguments as a call may surely have. */
const CHUNK = 1024;

/** One character, U+0000 to U+00FF, for each byte from `start` to `end`. */
export function characters(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > CHUNK) return characters(bytes, start, start + CHUNK) + characters(bytes, start + CHUNK, end);
  // Several times as fast as putting the text together one by one.
  return Reflect.apply(String.fromCharCode, undefined, bytes.subarray(start, end));
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((bytes[i] ?? 0) >= 0x80) return false;
  return true;
}

function decode(bytes: Uint8Array, start: number, end: number, lenient: boolean): string | undefined {
  if (isAscii(bytes, start, end)) return characters(bytes, start, end);
  let text = "";
  for (let i = start; i < end; ) {
    const lead = bytes[i] ?? 0;
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      i++;
      continue;
    }
    const length = sequenceLength(lead);
    const point = length === 0 ? -1 : readSequence(bytes, i, end, length);
    if (point >= 0) {
      text += String.fromCodePoint(point);
      i += length;
      continue;
    }
    if (!lenient) return undefined;
    text += String.fromCharCode(REPLACEMENT);
    i++;
  }
  return text;
}

/** Decodes UTF-8 (RFC 3629) from `start` to `end`. Undefined when it is malformed. A byte order mark is kept. */
export function utf8Decode(bytes: Uint8Array, start = 0, end: number = bytes.length): string | undefined {
  return decode(bytes, start, end, false);
}

/** Decodes UTF-8, with U+FFFD in place of each byte that does not belong to a valid sequence. */
export function utf8DecodeLossy(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  return decode(bytes, start, end, true) ?? "";
}
