import { Attr, type AttributeType, attribute, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { decoded, hex, messageOf, TRANSACTION_ID, toHex } from "./support.ts";

function encodedValue<T>(type: AttributeType<T>, value: T): string {
  const message = encodeMessage({
    method: Method.Binding,
    class: MessageClass.Request,
    transactionId: TRANSACTION_ID,
    attributes: [attribute(type, value)],
  });
  return toHex(message.subarray(24));
}

function read<T>(type: AttributeType<T>, value: string): T | undefined {
  const bytes = hex(value);
  const header = [type.type, bytes.length].map((number) => number.toString(16).padStart(4, "0")).join("");
  return decoded(messageOf("0001", header, toHex(bytes), "00".repeat(-bytes.length & 3))).get(type);
}

describe("values on the wire", () => {
  it.each<[string, string, string]>([
    ["MAPPED-ADDRESS", encodedValue(Attr.MappedAddress, { ip: "192.0.2.1", port: 3478 }), "00010d96c0000201"],
    [
      "XOR-PEER-ADDRESS of IPv6",
      encodedValue(Attr.XorPeerAddress, { ip: "2001:db8::1", port: 0 }),
      "000221120113a9fa000102030405060708090a0a",
    ],
    ["CHANNEL-NUMBER", encodedValue(Attr.ChannelNumber, 0x4001), "40010000"],
    ["REQUESTED-TRANSPORT", encodedValue(Attr.RequestedTransport, 17), "11000000"],
    ["REQUESTED-ADDRESS-FAMILY", encodedValue(Attr.RequestedAddressFamily, 6), "02000000"],
    ["EVEN-PORT", encodedValue(Attr.EvenPort, { reserveNext: true }), "80000000"],
    ["ERROR-CODE", encodedValue(Attr.ErrorCode, { code: 438, reason: "St" }), "0000042653740000"],
    ["ADDRESS-ERROR-CODE", encodedValue(Attr.AddressErrorCode, { family: 6, code: 440, reason: "" }), "02000428"],
    ["UNKNOWN-ATTRIBUTES", encodedValue(Attr.UnknownAttributes, [0x7f01]), "7f010000"],
    ["ICMP", encodedValue(Attr.Icmp, { type: 3, code: 4, data: 1400 }), "0000030400000578"],
    ["CHANGE-REQUEST", encodedValue(Attr.ChangeRequest, { changeIp: true, changePort: true }), "00000006"],
    ["RESPONSE-PORT", encodedValue(Attr.ResponsePort, 5000), "13880000"],
    [
      "PASSWORD-ALGORITHMS",
      encodedValue(Attr.PasswordAlgorithms, [
        { algorithm: 2, parameters: hex("ff") },
        { algorithm: 1, parameters: hex("") },
      ]),
      "00020001ff00000000010000",
    ],
    ["ICE-CONTROLLING", encodedValue(Attr.IceControlling, 0x0102030405060708n), "0102030405060708"],
    ["NONCE with a byte above 127", encodedValue(Attr.Nonce, "a\u00ff"), "61ff0000"],
  ])("%s", (_name, actual, expected) => {
    expect(actual).toBe(expected);
  });
});

describe("malformed values have no value", () => {
  it.each<[string, unknown]>([
    ["an address of family 0", read(Attr.MappedAddress, "00000d96c0000201")],
    ["an IPv4 address of 20 bytes", read(Attr.MappedAddress, `00010d96${"00".repeat(16)}`)],
    ["an IPv6 address of 8 bytes", read(Attr.XorMappedAddress, "00020d96c0000201")],
    ["an address of 4 bytes", read(Attr.XorPeerAddress, "00010d96")],
    ["an empty address", read(Attr.XorPeerAddress, "")],
    ["a LIFETIME of 5 bytes", read(Attr.Lifetime, "0000000001")],
    ["a CHANNEL-NUMBER of 2 bytes", read(Attr.ChannelNumber, "4000")],
    ["REQUESTED-ADDRESS-FAMILY 3", read(Attr.RequestedAddressFamily, "03000000")],
    ["DONT-FRAGMENT with a value", read(Attr.DontFragment, "00")],
    ["EVEN-PORT of 2 bytes", read(Attr.EvenPort, "8000")],
    ["RESERVATION-TOKEN of 7 bytes", read(Attr.ReservationToken, "01020304050607")],
    ["USERHASH of 31 bytes", read(Attr.UserHash, "00".repeat(31))],
    ["USERNAME that is not UTF-8", read(Attr.Username, "61ff")],
    ["USERNAME of 514 bytes", read(Attr.Username, "61".repeat(514))],
    ["NONCE of 764 bytes", read(Attr.Nonce, "61".repeat(764))],
    ["ERROR-CODE of 3 bytes", read(Attr.ErrorCode, "000004")],
    ["ERROR-CODE 200", read(Attr.ErrorCode, "00000200")],
    ["ERROR-CODE 4-100", read(Attr.ErrorCode, "00000464")],
    ["ADDRESS-ERROR-CODE without a family", read(Attr.AddressErrorCode, "00000428")],
    ["UNKNOWN-ATTRIBUTES of 3 bytes", read(Attr.UnknownAttributes, "7f0100")],
    ["PASSWORD-ALGORITHM beyond its attribute", read(Attr.PasswordAlgorithm, "00010004ffff")],
    ["two algorithms in PASSWORD-ALGORITHM", read(Attr.PasswordAlgorithm, "0001000000020000")],
    ["half an algorithm in PASSWORD-ALGORITHMS", read(Attr.PasswordAlgorithms, "000100000002")],
    ["MESSAGE-INTEGRITY of 19 bytes", read(Attr.MessageIntegrity, "00".repeat(19))],
    ["MESSAGE-INTEGRITY-SHA256 of 12 bytes", read(Attr.MessageIntegritySha256, "00".repeat(12))],
    ["MESSAGE-INTEGRITY-SHA256 of 18 bytes", read(Attr.MessageIntegritySha256, "00".repeat(18))],
    ["MESSAGE-INTEGRITY-SHA256 of 36 bytes", read(Attr.MessageIntegritySha256, "00".repeat(36))],
    ["ICE-CONTROLLED of 4 bytes", read(Attr.IceControlled, "00000000")],
    ["ICMP of 4 bytes", read(Attr.Icmp, "00000304")],
  ])("%s", (_name, value) => {
    expect(value).toBeUndefined();
  });
});

describe("reserved bits are ignored", () => {
  it.each<[string, unknown, unknown]>([
    ["CHANNEL-NUMBER", read(Attr.ChannelNumber, "4001ffff"), 0x4001],
    ["REQUESTED-TRANSPORT", read(Attr.RequestedTransport, "11ffffff"), 17],
    ["REQUESTED-ADDRESS-FAMILY", read(Attr.RequestedAddressFamily, "01ffffff"), 4],
    ["EVEN-PORT", read(Attr.EvenPort, "7f"), { reserveNext: false }],
    ["CHANGE-REQUEST", read(Attr.ChangeRequest, "fffffffb"), { changeIp: false, changePort: true }],
    ["ERROR-CODE", read(Attr.ErrorCode, "fffffc00"), { code: 400, reason: "" }],
    ["MAPPED-ADDRESS", read(Attr.MappedAddress, "ff010d96c0000201"), { ip: "192.0.2.1", port: 3478 }],
    ["RESPONSE-PORT of 2 bytes", read(Attr.ResponsePort, "1388"), 5000],
  ])("%s", (_name, actual, expected) => {
    expect(actual).toEqual(expected);
  });
});

describe("text for people is taken as it is, with what is not UTF-8 replaced", () => {
  it("SOFTWARE", () => {
    expect(read(Attr.Software, "61ff62")).toBe("a\ufffdb");
  });

  it("the reason of ERROR-CODE", () => {
    expect(read(Attr.ErrorCode, "00000414ff")).toEqual({ code: 420, reason: "\ufffd" });
  });
});

describe("values that cannot be written are refused", () => {
  it.each<[string, () => unknown]>([
    ["a port above 65535", () => attribute(Attr.MappedAddress, { ip: "192.0.2.1", port: 65536 })],
    ["a host name", () => attribute(Attr.MappedAddress, { ip: "example.org", port: 1 })],
    ["a zone id", () => attribute(Attr.XorMappedAddress, { ip: "fe80::1%eth0", port: 1 })],
    ["a negative LIFETIME", () => attribute(Attr.Lifetime, -1)],
    ["a LIFETIME that is no integer", () => attribute(Attr.Lifetime, 1.5)],
    ["ERROR-CODE 700", () => attribute(Attr.ErrorCode, { code: 700, reason: "" })],
    ["a reason of 764 bytes", () => attribute(Attr.ErrorCode, { code: 400, reason: "x".repeat(764) })],
    ["a USERNAME of 514 bytes", () => attribute(Attr.Username, "x".repeat(514))],
    ["a NONCE with characters that are no bytes", () => attribute(Attr.Nonce, "\u0100")],
    ["a NONCE of 764 bytes", () => attribute(Attr.Nonce, "x".repeat(764))],
    ["a RESERVATION-TOKEN of 7 bytes", () => attribute(Attr.ReservationToken, new Uint8Array(7))],
    ["an unknown attribute type above 65535", () => attribute(Attr.UnknownAttributes, [65536])],
    ["ICE-CONTROLLED above 64 bits", () => attribute(Attr.IceControlled, 1n << 64n)],
    ["ECN 4", () => attribute(Attr.EcnCheck, { ecn: 4, valid: true })],
    ["a cost above 16 bits", () => attribute(Attr.NetworkInfo, { id: 1, cost: 65536 })],
    ["a count above 255", () => attribute(Attr.TransactionTransmitCounter, { requests: 256, responses: 0 })],
  ])("%s", (_name, encode) => {
    expect(encode).toThrow(RangeError);
  });
});
