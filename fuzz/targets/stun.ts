import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { isIP } from "node:net";
import {
  Attr,
  type AttributeType,
  attribute,
  attributeOfType,
  canonicalIp,
  checkFingerprint,
  checkIntegrity,
  classify,
  decodeChannelData,
  decodeMessage,
  encodeChannelData,
  encodeMessage,
  formatStunUri,
  formatTurnUri,
  parseAddress,
  parseIp,
  parseNonceCookie,
  parseSealedToken,
  parseStunUri,
  parseTokenBlock,
  parseTurnUri,
  readSendIndication,
  StreamFramer,
  type StunMessage,
  utf8Decode,
  utf8DecodeLossy,
  utf8Encode,
} from "@culvert/stun";
import { nodeCrypto } from "@culvert/testkit";
import type { Random } from "../src/random.ts";
import type { FuzzTarget } from "../src/target.ts";

const KEY = new Uint8Array(16);
/** Text that is read leniently can become longer than what may be written. */
const LENIENT: readonly AttributeType<unknown>[] = [Attr.Software, Attr.Origin, Attr.ErrorCode, Attr.AddressErrorCode];
/** Longer inputs are not read as text: addresses and URIs are short. */
const MAX_TEXT = 200;

/** What is read from an attribute can be written, and reads the same again. */
function checkRoundTrip(message: StunMessage, type: AttributeType<unknown>): void {
  const value = message.get(type);
  if (value === undefined || LENIENT.includes(type)) return;
  const again = decodeMessage(
    encodeMessage({
      method: message.method,
      class: message.class,
      transactionId: message.transactionId,
      legacy: message.legacy,
      attributes: [attribute(type, value)],
    }),
  );
  ok(again.ok);
  deepStrictEqual(again.message.get(type), value);
}

function checkMessage(input: Uint8Array): void {
  const result = decodeMessage(input);
  const quick = readSendIndication(input);
  if (!result.ok) {
    strictEqual(quick, undefined);
    return;
  }
  const { message } = result;
  for (const type of message.types) {
    const known = attributeOfType(type);
    if (!known) continue;
    checkRoundTrip(message, known);
    strictEqual(message.get(known) === undefined, message.malformed.includes(type));
    ok(message.getAll(known).length <= input.length / 4);
  }
  ok(message.unknownRequired.every((type) => type < 0x8000 && !attributeOfType(type)));
  checkFingerprint(message);
  checkIntegrity(message, "sha1", KEY, nodeCrypto);
  checkIntegrity(message, "sha256", KEY, nodeCrypto);
  if (quick) {
    deepStrictEqual(quick.peer, message.get(Attr.XorPeerAddress));
    deepStrictEqual(quick.data, message.get(Attr.Data));
    strictEqual(quick.dontFragment, message.has(Attr.DontFragment));
    ok(checkFingerprint(message) !== "invalid");
  }
}

function checkChannelData(input: Uint8Array): void {
  const decoded = decodeChannelData(input);
  if (!decoded) return;
  ok(decoded.data.length <= input.length - 4);
  const encoded = encodeChannelData(decoded.channel, decoded.data);
  deepStrictEqual(encoded, input.slice(0, encoded.length));
}

/** A stream gives the same frames however it is cut, and its frames are what the decoders take. */
function checkFraming(input: Uint8Array): void {
  const atOnce = new StreamFramer({ maxFrame: 4096 }).push(input);
  const framer = new StreamFramer({ maxFrame: 4096 });
  const frames: Uint8Array[] = [];
  for (let at = 0; at < input.length; ) {
    const next = at + 1 + ((input[at] ?? 0) % 23);
    frames.push(...framer.push(input.slice(at, next)).frames);
    at = next;
  }
  deepStrictEqual(frames, [...atOnce.frames]);
  strictEqual(framer.error, atOnce.error);
  ok(framer.buffered <= 4096 + 8);
  for (const frame of frames) {
    ok(frame.length <= 4096);
    if (classify(frame) === "channel") ok(decodeChannelData(frame));
  }
}

function checkText(input: Uint8Array): void {
  const text = utf8Decode(input);
  if (text === undefined) ok(utf8DecodeLossy(input).includes("\ufffd"));
  else deepStrictEqual(utf8Encode(text), input.slice());
  if (input.length > MAX_TEXT) return;

  const bytes = Buffer.from(input).toString("latin1");
  const ip = parseIp(bytes);
  if (!bytes.includes("%")) strictEqual(ip === undefined ? 0 : ip.length === 4 ? 4 : 6, isIP(bytes));
  const canonical = canonicalIp(bytes);
  if (canonical !== undefined) strictEqual(canonicalIp(canonical), canonical);
  parseAddress(bytes);
  parseNonceCookie(bytes);
  const stun = parseStunUri(bytes);
  if (stun) deepStrictEqual(parseStunUri(formatStunUri(stun)), stun);
  const turn = parseTurnUri(bytes);
  if (turn) deepStrictEqual(parseTurnUri(formatTurnUri(turn)), turn);
}

/** Puts cookie and lengths right: of attributes only sometimes, of the message always. */
function repair(input: Uint8Array, random: Random): Uint8Array {
  if (input.length < 20) return input;
  const message = input.slice(0, input.length & ~3);
  const view = new DataView(message.buffer);
  view.setUint16(0, view.getUint16(0) & 0x3fff);
  view.setUint16(2, message.length - 20);
  if (!random.oneIn(16)) view.setUint32(4, 0x2112a442);
  if (random.oneIn(4)) return message;
  for (let at = 20; at + 4 <= message.length; ) {
    const room = message.length - at - 4;
    if (view.getUint16(at + 2) > room) view.setUint16(at + 2, room);
    at += 4 + ((view.getUint16(at + 2) + 3) & ~3);
  }
  return message;
}

/** Every parser of `@culvert/stun`, and what holds between them. */
export const stun: FuzzTarget = {
  name: "stun",
  maxLength: 2048,
  covers: ["/libs/stun/"],
  run(input) {
    const before = input.slice();
    classify(input);
    checkMessage(input);
    checkChannelData(input);
    checkFraming(input);
    checkText(input);
    parseSealedToken(input);
    parseTokenBlock(input);
    deepStrictEqual(input, before);
  },
  repair,
};
