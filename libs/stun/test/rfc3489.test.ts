import { Attr, attribute, checkIntegrity, encodeMessage, MessageClass, type MessageInit, Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { ascii, crypto, decoded, hex, toHex } from "./support.ts";

const transactionId = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
const response: MessageInit = {
  method: Method.Binding,
  class: MessageClass.Success,
  transactionId,
  legacy: true,
  attributes: [
    attribute(Attr.MappedAddress, { ip: "192.0.2.1", port: 3478 }),
    attribute(Attr.SourceAddress, { ip: "192.0.2.2", port: 3478 }),
    attribute(Attr.ChangedAddress, { ip: "192.0.2.3", port: 3479 }),
  ],
};

describe("RFC 3489 messages", () => {
  it("are known by the missing magic cookie", () => {
    const request = decoded(hex(`00010008 ${toHex(transactionId)} 00030004 00000006`));
    expect(request.legacy).toBe(true);
    expect(request.transactionId).toEqual(transactionId);
    expect(request.get(Attr.ChangeRequest)).toEqual({ changeIp: true, changePort: true });
  });

  it("are answered with a transaction id of 16 bytes", () => {
    const message = encodeMessage(response);
    expect(toHex(message)).toBe(
      `01010024${toHex(transactionId)}000100080001` +
        `0d96c0000201000400080001${"0d96c0000202"}000500080001${"0d97c0000203"}`,
    );
    expect(decoded(message).legacy).toBe(true);
    expect(decoded(message).transactionId).toEqual(transactionId);
  });

  it("are signed with padding to a multiple of 64 bytes", () => {
    const key = ascii("key");
    const message = encodeMessage({ ...response, integrity: { key, algorithm: "sha1", crypto } });
    const signed = new Uint8Array(64);
    signed.set(message.subarray(0, -24));
    expect(message.subarray(-20)).toEqual(crypto.hmacSha1(key, signed));
    expect(checkIntegrity(decoded(message), "sha1", key, crypto)).toBe("valid");
    expect(checkIntegrity(decoded(message), "sha1", ascii("other"), crypto)).toBe("invalid");
  });
});
