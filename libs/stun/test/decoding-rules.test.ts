import { Attr, type AttributeType, decodeMessage } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { decoded, hex, messageOf, TRANSACTION_ID, toHex } from "./support.ts";

const ALLOCATE = "0003";
const USER_A = "0006000161000000";
const USER_B = "0006000162000000";
const LIFETIME = "000d000400000258";
const INTEGRITY = `00080014${"11".repeat(20)}`;
const INTEGRITY_SHA256 = `001c0020${"22".repeat(32)}`;
const FINGERPRINT = "8028000412345678";

describe("what is not a STUN message", () => {
  const valid = messageOf(ALLOCATE, LIFETIME);
  const withLength = (length: number): Uint8Array => {
    const bytes = valid.slice();
    bytes[3] = length;
    return bytes;
  };

  it.each([
    ["nothing", new Uint8Array(), "too-short"],
    ["half a header", valid.subarray(0, 19), "too-short"],
    ["ChannelData", hex(`4000${toHex(valid).slice(4)}`), "not-stun"],
    ["RTP", hex(`8000${toHex(valid).slice(4)}`), "not-stun"],
    ["a length that is no multiple of four", withLength(7), "bad-length"],
    ["a length beyond the datagram", withLength(12), "truncated"],
    ["a truncated datagram", valid.subarray(0, 24), "truncated"],
    ["bytes after the message", withLength(4), "trailing-bytes"],
    ["an attribute beyond the message", messageOf(ALLOCATE, "000d000800000258"), "attribute-overrun"],
    ["an attribute that claims 65535 bytes", messageOf(ALLOCATE, "000dffff00000258"), "attribute-overrun"],
    ["an attribute without its padding", messageOf(ALLOCATE, LIFETIME, "00060005"), "attribute-overrun"],
  ])("%s", (_name, bytes, reason) => {
    expect(decodeMessage(bytes)).toEqual({ ok: false, reason });
  });
});

describe("repeated attributes", () => {
  const message = decoded(messageOf(ALLOCATE, USER_A, LIFETIME, USER_B));

  it("count once: the first one", () => {
    expect(message.get(Attr.Username)).toBe("a");
    expect(message.types).toEqual([Attr.Username.type, Attr.Lifetime.type]);
    expect(message.offsetOf(Attr.Username)).toBe(20);
  });

  it("can all be had, where an RFC allows several", () => {
    expect(message.getAll(Attr.Username)).toEqual(["a", "b"]);
  });

  it("do not fall back to the second one when the first one is malformed", () => {
    const twice = decoded(messageOf(ALLOCATE, "000d000100000000", LIFETIME));
    expect(twice.get(Attr.Lifetime)).toBeUndefined();
    expect(twice.malformed).toEqual([Attr.Lifetime.type]);
  });
});

describe("attributes after the one that signs them", () => {
  const attributes = (...parts: string[]): readonly number[] => decoded(messageOf(ALLOCATE, ...parts)).types;
  const types = (...expected: AttributeType<unknown>[]): number[] => expected.map(({ type }) => type);

  it("do not count after MESSAGE-INTEGRITY, but for MESSAGE-INTEGRITY-SHA256 and FINGERPRINT", () => {
    expect(attributes(USER_A, INTEGRITY, LIFETIME, INTEGRITY_SHA256, USER_B, FINGERPRINT)).toEqual(
      types(Attr.Username, Attr.MessageIntegrity, Attr.MessageIntegritySha256, Attr.Fingerprint),
    );
  });

  it("do not count after MESSAGE-INTEGRITY-SHA256, but for FINGERPRINT", () => {
    expect(attributes(INTEGRITY_SHA256, LIFETIME, INTEGRITY, FINGERPRINT)).toEqual(
      types(Attr.MessageIntegritySha256, Attr.Fingerprint),
    );
  });

  it("do not count after FINGERPRINT", () => {
    expect(attributes(FINGERPRINT, LIFETIME, INTEGRITY, INTEGRITY_SHA256)).toEqual(types(Attr.Fingerprint));
  });

  it("are neither unknown nor malformed", () => {
    const message = decoded(messageOf(ALLOCATE, INTEGRITY, "7fff0000", "000d0000", LIFETIME));
    expect(message.has(Attr.Lifetime)).toBe(false);
    expect(message.get(Attr.Lifetime)).toBeUndefined();
    expect(message.getAll(Attr.Lifetime)).toEqual([]);
    expect(message.unknownRequired).toEqual([]);
    expect(message.malformed).toEqual([]);
  });

  it("the first of several signatures counts", () => {
    const second = `00080014${"33".repeat(20)}`;
    const value = decoded(messageOf(ALLOCATE, INTEGRITY, second)).get(Attr.MessageIntegrity);
    expect(value && toHex(value)).toBe("11".repeat(20));
  });
});

describe("unknown attributes", () => {
  const message = decoded(messageOf(ALLOCATE, "7f010000", LIFETIME, "ff010000", "7f010000", "00300000"));

  it("are listed once each when comprehension is required", () => {
    expect(message.unknownRequired).toEqual([0x7f01, 0x0030]);
  });

  it("include what a server with a smaller table does not understand", () => {
    expect(message.unknownAmong(new Set([0x7f01]))).toEqual([Attr.Lifetime.type, 0x0030]);
  });
});

describe("malformed attributes", () => {
  const message = decoded(messageOf(ALLOCATE, "000d000200010000", "80000004ff000000", USER_A));

  it("are there but have no value", () => {
    expect(message.has(Attr.Lifetime)).toBe(true);
    expect(message.get(Attr.Lifetime)).toBeUndefined();
    expect(message.getAll(Attr.Lifetime)).toEqual([]);
  });

  it("are listed", () => {
    expect(message.malformed).toEqual([Attr.Lifetime.type, Attr.AdditionalAddressFamily.type]);
  });
});

describe("a decoded message", () => {
  it("is a view of the bytes", () => {
    const bytes = new Uint8Array(messageOf("0016", "0013000401020304"));
    const data = decoded(bytes).get(Attr.Data);
    expect(data?.buffer).toBe(bytes.buffer);
    expect(decoded(bytes).transactionId.buffer).toBe(bytes.buffer);
    expect(decoded(bytes).bytes).toBe(bytes);
  });

  it("may lie anywhere in a larger buffer", () => {
    const bytes = messageOf("0101", "0020000800012a8fe112a643");
    const larger = new Uint8Array(bytes.length + 12);
    larger.set(bytes, 7);
    const message = decoded(larger.subarray(7, 7 + bytes.length));
    expect(message.get(Attr.XorMappedAddress)).toEqual({ ip: "192.0.2.1", port: 0x0b9d });
    expect(message.transactionId).toEqual(TRANSACTION_ID);
  });
});
