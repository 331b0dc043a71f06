import {
  Attr,
  attribute,
  checkIntegrity,
  encodeMessage,
  longTermKey,
  MessageClass,
  Method,
  PasswordAlgorithmId,
  userHash,
} from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { crypto, decoded, hex, toHex } from "./support.ts";

// As corrected by erratum 6268: the printed one has a wrong length and lacks PASSWORD-ALGORITHM.
const SAMPLE = hex(`
  00010090 2112a442 78ad3433 c6ad72c0 29da412e
  001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704
  00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476 79363473 41000000
  0014000b 6578616d 706c652e 6f726700
  001d0004 00020000
  001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65`);

const credential = {
  username: "マトリックス",
  realm: "example.org",
  password: "TheMatrIX",
  algorithm: "sha256",
} as const;
const nonce = "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA";

describe("the sample of RFC 8489 appendix B.1", () => {
  it("is read and verified", () => {
    const message = decoded(SAMPLE);
    const hash = message.get(Attr.UserHash);
    expect(hash && toHex(hash)).toBe(toHex(userHash(credential.username, credential.realm, crypto)));
    expect(message.get(Attr.Nonce)).toBe(nonce);
    expect(message.get(Attr.PasswordAlgorithm)?.algorithm).toBe(PasswordAlgorithmId.Sha256);
    expect(checkIntegrity(message, "sha256", longTermKey(credential, crypto), crypto)).toBe("valid");
    expect(checkIntegrity(message, "sha1", longTermKey(credential, crypto), crypto)).toBe("absent");
  });

  it("is written byte for byte", () => {
    const message = encodeMessage({
      method: Method.Binding,
      class: MessageClass.Request,
      transactionId: hex("78ad3433c6ad72c029da412e"),
      attributes: [
        attribute(Attr.UserHash, userHash(credential.username, credential.realm, crypto)),
        attribute(Attr.Nonce, nonce),
        attribute(Attr.Realm, credential.realm),
        attribute(Attr.PasswordAlgorithm, { algorithm: PasswordAlgorithmId.Sha256, parameters: new Uint8Array() }),
      ],
      integrity: { key: longTermKey(credential, crypto), algorithm: "sha256", crypto },
    });
    expect(toHex(message)).toBe(toHex(SAMPLE));
  });
});
