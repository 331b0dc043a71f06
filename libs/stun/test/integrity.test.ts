import { createHmac } from "node:crypto";
import {
  Attr,
  attribute,
  checkIntegrity,
  encodeMessage,
  type IntegrityAlgorithm,
  MessageClass,
  Method,
  rawAttribute,
  timingSafeEqual,
} from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, encodedAttributes } from "./arbitraries.ts";
import { ascii, crypto, decoded, TRANSACTION_ID } from "./support.ts";

const key = ascii("a key");

function signed(algorithm: IntegrityAlgorithm, fingerprint = false): Uint8Array {
  return encodeMessage({
    method: Method.Refresh,
    class: MessageClass.Request,
    transactionId: TRANSACTION_ID,
    attributes: [attribute(Attr.Lifetime, 0)],
    integrity: { key, algorithm, crypto },
    fingerprint,
  });
}

describe.each<[IntegrityAlgorithm, string, number]>([
  ["sha1", "sha1", 20],
  ["sha256", "sha256", 32],
])("a message signed with %s", (algorithm, hash, size) => {
  it("is the HMAC of what is before, its length field ending with the signature", () => {
    const message = signed(algorithm);
    const expected = createHmac(hash, key)
      .update(message.subarray(0, message.length - size - 4))
      .digest();
    expect(message.subarray(message.length - size)).toEqual(new Uint8Array(expected));
  });

  it("is valid with its key, with and without FINGERPRINT", () => {
    expect(checkIntegrity(decoded(signed(algorithm)), algorithm, key, crypto)).toBe("valid");
    expect(checkIntegrity(decoded(signed(algorithm, true)), algorithm, key, crypto)).toBe("valid");
  });

  it("is invalid with another key", () => {
    expect(checkIntegrity(decoded(signed(algorithm)), algorithm, ascii("b key"), crypto)).toBe("invalid");
  });

  it("is invalid when any bit before the signature or in it is changed", () => {
    const message = signed(algorithm);
    for (let i = 0; i < message.length; i++) {
      const changed = message.slice();
      changed[i] = (changed[i] ?? 0) ^ 0x02;
      let check = "not a message";
      try {
        check = checkIntegrity(decoded(changed), algorithm, key, crypto);
      } catch {}
      expect(check, `byte ${i}`).not.toBe("valid");
    }
  });

  // `slice` of a Buffer copies nothing.
  it.each([
    ["Uint8Array", (from: Uint8Array) => from],
    ["Buffer", (from: Uint8Array) => Buffer.from(from)],
  ] as const)("is not changed by being checked, in a %s", (_, as) => {
    const message = as(signed(algorithm, true));
    const before = Uint8Array.from(message);
    checkIntegrity(decoded(message), algorithm, key, crypto);
    expect(Uint8Array.from(message)).toEqual(before);
  });
});

it("each algorithm has its own attribute", () => {
  expect(checkIntegrity(decoded(signed("sha1")), "sha256", key, crypto)).toBe("absent");
  expect(checkIntegrity(decoded(signed("sha256")), "sha1", key, crypto)).toBe("absent");
});

describe("both signatures in one message", () => {
  const message = decoded(
    encodeMessage({
      method: Method.Binding,
      class: MessageClass.Request,
      transactionId: TRANSACTION_ID,
      integrity: [
        { key, algorithm: "sha1", crypto },
        { key, algorithm: "sha256", crypto },
      ],
      fingerprint: true,
    }),
  );

  it.each<IntegrityAlgorithm>(["sha1", "sha256"])("are valid: %s", (algorithm) => {
    expect(checkIntegrity(message, algorithm, key, crypto)).toBe("valid");
  });
});

describe("MESSAGE-INTEGRITY-SHA256 may be truncated", () => {
  /** A message with a signature of `length` bytes, which the length field has to count in. */
  function truncated(length: number): Uint8Array {
    const make = (value: Uint8Array): Uint8Array =>
      encodeMessage({
        method: Method.Binding,
        class: MessageClass.Request,
        transactionId: TRANSACTION_ID,
        attributes: [rawAttribute(Attr.MessageIntegritySha256.type, value)],
      });
    const hmac = crypto.hmacSha256(key, make(new Uint8Array(length)).subarray(0, 20));
    const value = new Uint8Array(length);
    value.set(hmac.subarray(0, length));
    return make(value);
  }

  it.each([16, 20, 24, 28, 32])("to %i bytes", (length) => {
    expect(checkIntegrity(decoded(truncated(length)), "sha256", key, crypto)).toBe("valid");
  });

  it.each([0, 4, 12, 15, 18, 31, 33, 36])("but not to %i bytes", (length) => {
    expect(checkIntegrity(decoded(truncated(length)), "sha256", key, crypto)).toBe("invalid");
  });
});

it("signatures of any attributes with any key hold", () => {
  fc.assert(
    fc.property(
      encodedAttributes,
      bytes(1, 100),
      fc.constantFrom<IntegrityAlgorithm>("sha1", "sha256"),
      fc.boolean(),
      (attributes, key, algorithm, fingerprint) => {
        const message = encodeMessage({
          method: Method.Binding,
          class: MessageClass.Request,
          transactionId: TRANSACTION_ID,
          attributes,
          integrity: { key, algorithm, crypto },
          fingerprint,
        });
        expect(checkIntegrity(decoded(message), algorithm, key, crypto)).toBe("valid");
      },
    ),
  );
});

describe("timingSafeEqual", () => {
  it.each([
    ["equal", "abc", "abc", true],
    ["one byte off", "abc", "abd", false],
    ["a prefix", "abc", "ab", false],
    ["empty", "", "", true],
  ])("%s", (_name, a, b, equal) => {
    expect(timingSafeEqual(ascii(a), ascii(b))).toBe(equal);
  });
});
