import {
  Attr,
  attribute,
  checkFingerprint,
  checkIntegrity,
  encodeMessage,
  longTermKey,
  MessageClass,
  Method,
  type StunMessage,
  shortTermKey,
} from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { crypto, decoded, hex, toHex } from "./support.ts";

const REQUEST = hex(`
  00010058 2112a442 b7e7a701 bc34d686 fa87dfae
  80220010 5354554e 20746573 7420636c 69656e74
  00240004 6e0001ff
  80290008 932ff9b1 51263b36
  00060009 6576746a 3a683676 59202020
  00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
  80280004 e57a3bcf`);

const IPV4_RESPONSE = hex(`
  0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
  8022000b 74657374 20766563 746f7220
  00200008 0001a147 e112a643
  00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
  80280004 c07d4c96`);

const IPV6_RESPONSE = hex(`
  01010048 2112a442 b7e7a701 bc34d686 fa87dfae
  8022000b 74657374 20766563 746f7220
  00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
  00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
  80280004 c8fb0b4c`);

const LONG_TERM_REQUEST = hex(`
  00010060 2112a442 78ad3433 c6ad72c0 29da412e
  00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
  0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
  0014000b 6578616d 706c652e 6f726700
  00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666`);

const shortKey = shortTermKey("VOkJxbRl1RmTxUk/WvJxBt");
const longTerm = { username: "マトリックス", realm: "example.org", password: "TheMatrIX", algorithm: "md5" } as const;

function expectBindingSignedByShortKey(message: StunMessage, messageClass: MessageClass): void {
  expect(message.method).toBe(Method.Binding);
  expect(message.class).toBe(messageClass);
  expect(toHex(message.transactionId)).toBe("b7e7a701bc34d686fa87dfae");
  expect(checkIntegrity(message, "sha1", shortKey, crypto)).toBe("valid");
  expect(checkIntegrity(message, "sha1", shortTermKey("another"), crypto)).toBe("invalid");
  expect(checkFingerprint(message)).toBe("valid");
  expect(message.unknownRequired).toEqual([]);
  expect(message.malformed).toEqual([]);
}

describe("the vectors of RFC 5769", () => {
  it("reads the sample request (2.1)", () => {
    const message = decoded(REQUEST);
    expectBindingSignedByShortKey(message, MessageClass.Request);
    expect(message.get(Attr.Software)).toBe("STUN test client");
    expect(message.get(Attr.Priority)).toBe(0x6e0001ff);
    expect(message.get(Attr.IceControlled)).toBe(0x932ff9b151263b36n);
    expect(message.get(Attr.Username)).toBe("evtj:h6vY");
  });

  it("reads the sample IPv4 response (2.2)", () => {
    const message = decoded(IPV4_RESPONSE);
    expectBindingSignedByShortKey(message, MessageClass.Success);
    expect(message.get(Attr.Software)).toBe("test vector");
    expect(message.get(Attr.XorMappedAddress)).toEqual({ ip: "192.0.2.1", port: 32853 });
  });

  it("reads the sample IPv6 response (2.3)", () => {
    const message = decoded(IPV6_RESPONSE);
    expectBindingSignedByShortKey(message, MessageClass.Success);
    expect(message.get(Attr.XorMappedAddress)).toEqual({ ip: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 });
  });

  it("reads the sample request with long-term authentication (2.4)", () => {
    const message = decoded(LONG_TERM_REQUEST);
    expect(message.get(Attr.Username)).toBe(longTerm.username);
    expect(message.get(Attr.Nonce)).toBe("f//499k954d6OL34oL9FSTvy64sA");
    expect(message.get(Attr.Realm)).toBe(longTerm.realm);
    expect(checkIntegrity(message, "sha1", longTermKey(longTerm, crypto), crypto)).toBe("valid");
    expect(checkFingerprint(message)).toBe("absent");
  });

  it("writes the sample request with long-term authentication byte for byte", () => {
    const message = encodeMessage({
      method: Method.Binding,
      class: MessageClass.Request,
      transactionId: hex("78ad3433c6ad72c029da412e"),
      attributes: [
        attribute(Attr.Username, longTerm.username),
        attribute(Attr.Nonce, "f//499k954d6OL34oL9FSTvy64sA"),
        attribute(Attr.Realm, longTerm.realm),
      ],
      integrity: { key: longTermKey(longTerm, crypto), algorithm: "sha1", crypto },
    });
    expect(toHex(message)).toBe(toHex(LONG_TERM_REQUEST));
  });

  it.each([
    ["request", REQUEST],
    ["IPv4 response", IPV4_RESPONSE],
    ["IPv6 response", IPV6_RESPONSE],
  ])("notices any changed byte of the %s", (_name, vector) => {
    for (let i = 8; i < vector.length; i++) {
      const changed = vector.slice();
      changed[i] = (changed[i] ?? 0) ^ 0x01;
      const message = decodedOrUndefined(changed);
      if (message) expect(checkFingerprint(message), `byte ${i}`).not.toBe("valid");
    }
  });
});

function decodedOrUndefined(bytes: Uint8Array): StunMessage | undefined {
  try {
    return decoded(bytes);
  } catch {
    return undefined;
  }
}
