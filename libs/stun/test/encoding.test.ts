import { Attr, attribute, encodeMessage, MessageClass, type MessageInit, Method, rawAttribute } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { message } from "./arbitraries.ts";
import { crypto, decoded, hex, TRANSACTION_ID, toHex } from "./support.ts";

const init = (rest: Partial<MessageInit>): MessageInit => ({
  method: Method.Allocate,
  class: MessageClass.Success,
  transactionId: TRANSACTION_ID,
  ...rest,
});

describe("an encoded message", () => {
  it("has header, attributes in their order, and zero padding", () => {
    const bytes = encodeMessage(init({ attributes: [attribute(Attr.Realm, "abcde"), attribute(Attr.Lifetime, 600)] }));
    expect(toHex(bytes)).toBe(
      `01030014${"2112a442"}${toHex(TRANSACTION_ID)}${"001400056162636465000000"}${"000d000400000258"}`,
    );
  });

  it("has no attributes when it is given none", () => {
    expect(toHex(encodeMessage(init({})))).toBe(`010300002112a442${toHex(TRANSACTION_ID)}`);
  });

  it("carries attributes that the table does not have", () => {
    const bytes = encodeMessage(init({ attributes: [rawAttribute(0x7fff, hex("010203"))] }));
    expect(toHex(bytes.subarray(20))).toBe("7fff000301020300");
    expect(decoded(bytes).unknownRequired).toEqual([0x7fff]);
  });

  it("ends with the signatures and FINGERPRINT", () => {
    const key = hex("00");
    const bytes = encodeMessage(
      init({
        integrity: [
          { key, algorithm: "sha1", crypto },
          { key, algorithm: "sha256", crypto },
        ],
        fingerprint: true,
      }),
    );
    const expected = [Attr.MessageIntegrity, Attr.MessageIntegritySha256, Attr.Fingerprint].map(({ type }) => type);
    expect(decoded(bytes).types).toEqual(expected);
  });

  it("always has a length that is a multiple of four and matches its header", () => {
    fc.assert(
      fc.property(message, (bytes) => {
        expect(bytes.length % 4).toBe(0);
        expect(((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)).toBe(bytes.length - 20);
      }),
    );
  });

  it("has zeros in all padding", () => {
    fc.assert(
      fc.property(message, (bytes) => {
        const { types } = decoded(bytes);
        expect(types).toBeDefined();
        for (let at = 20; at < bytes.length; ) {
          const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
          const next = at + 4 + Math.ceil(length / 4) * 4;
          expect(bytes.subarray(at + 4 + length, next).every((byte) => byte === 0)).toBe(true);
          at = next;
        }
      }),
    );
  });

  it("can be as long as its length field allows", () => {
    const bytes = encodeMessage(init({ attributes: [attribute(Attr.Data, new Uint8Array(0xfff8))] }));
    expect(bytes.length).toBe(20 + 0xfffc);
    expect(decoded(bytes).get(Attr.Data)?.length).toBe(0xfff8);
  });
});

describe("what cannot be a message is refused", () => {
  it.each<[string, Partial<MessageInit>]>([
    ["a transaction id of 16 bytes", { transactionId: new Uint8Array(16) }],
    ["a transaction id of 12 bytes in an RFC 3489 message", { legacy: true }],
    ["a method of 13 bits", { method: 0x1000 }],
    ["a negative method", { method: -1 }],
    ["more attributes than fit", { attributes: [attribute(Attr.Data, new Uint8Array(0xfff9))] }],
  ])("%s", (_name, rest) => {
    expect(() => encodeMessage(init(rest))).toThrow(RangeError);
  });
});
