import { crc32 as zlibCrc32 } from "node:zlib";
import { Attr, attribute, checkFingerprint, encodeMessage, MessageClass, Method } from "@culvert/stun";
import fc from "fast-check";
import { expect, it } from "vitest";
import { encodedAttributes } from "./arbitraries.ts";
import { decoded, messageOf, TRANSACTION_ID } from "./support.ts";

const binding = { method: Method.Binding, class: MessageClass.Request, transactionId: TRANSACTION_ID } as const;

it("is the CRC-32 of what is before it, XORed with 0x5354554e", () => {
  fc.assert(
    fc.property(encodedAttributes, (attributes) => {
      const message = encodeMessage({ ...binding, attributes, fingerprint: true });
      const expected = (zlibCrc32(message.subarray(0, -8)) ^ 0x5354554e) >>> 0;
      expect(decoded(message).get(Attr.Fingerprint)).toBe(expected);
      expect(checkFingerprint(decoded(message))).toBe("valid");
    }),
  );
});

it("is absent from a message without it", () => {
  expect(checkFingerprint(decoded(encodeMessage(binding)))).toBe("absent");
});

it("is invalid when it is not the last attribute, although its value is right", () => {
  const make = (value: number): Uint8Array =>
    encodeMessage({
      ...binding,
      attributes: [attribute(Attr.Fingerprint, value), attribute(Attr.Lifetime, 0)],
    });
  const right = (zlibCrc32(make(0).subarray(0, 20)) ^ 0x5354554e) >>> 0;
  expect(decoded(make(right)).get(Attr.Fingerprint)).toBe(right);
  expect(checkFingerprint(decoded(make(right)))).toBe("invalid");
});

it.each([
  ["wrong", "8028000400000000"],
  ["of a wrong length", "802800080000000000000000"],
])("is invalid when it is %s", (_name, fingerprint) => {
  expect(checkFingerprint(decoded(messageOf("0001", fingerprint)))).toBe("invalid");
});
