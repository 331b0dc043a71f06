import {
  Attr,
  attribute,
  encodeMessage,
  MessageClass,
  Method,
  rawAttribute,
  readDataIndication,
  readSendIndication,
  writeDataIndication,
  writeSendIndication,
} from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { address, bytes, encodedAttributes } from "./arbitraries.ts";
import { decoded, hex, TRANSACTION_ID, toHex } from "./support.ts";

const peer = { ip: "192.0.2.1", port: 5000 };
const data = hex("0102030405");
const send = { method: Method.Send, class: MessageClass.Indication, transactionId: TRANSACTION_ID } as const;
const toPeer = attribute(Attr.XorPeerAddress, peer);
const payload = attribute(Attr.Data, data);

describe("indications made and read in one go", () => {
  it("are the same as those of the codec", () => {
    fc.assert(
      fc.property(address, bytes(0, 1500), bytes(12, 12), (peer, data, transactionId) => {
        const attributes = [attribute(Attr.XorPeerAddress, peer), attribute(Attr.Data, data)];
        const init = { class: MessageClass.Indication, transactionId, attributes };
        const dataIndication = writeDataIndication(peer, data, transactionId);
        const sendIndication = writeSendIndication(peer, data, transactionId);
        expect(dataIndication).toEqual(encodeMessage({ ...init, method: Method.Data }));
        expect(sendIndication).toEqual(encodeMessage({ ...init, method: Method.Send }));
        const expected = { peer, data, dontFragment: false };
        expect(readDataIndication(dataIndication)).toEqual(expected);
        expect(readSendIndication(sendIndication)).toEqual(expected);
        expect(readSendIndication(dataIndication)).toBeUndefined();
        expect(readDataIndication(sendIndication)).toBeUndefined();
      }),
    );
  });

  it("carry DONT-FRAGMENT", () => {
    const message = writeSendIndication(peer, data, TRANSACTION_ID, { dontFragment: true });
    expect(readSendIndication(message)).toEqual({ peer, data, dontFragment: true });
    expect(decoded(message).get(Attr.DontFragment)).toBe(true);
  });

  it("write every byte of what a pool gives", () => {
    const allocate = (size: number): Uint8Array => new Uint8Array(size).fill(0xee);
    fc.assert(
      fc.property(address, bytes(0, 20), fc.boolean(), (peer, data, dontFragment) => {
        const pooled = writeSendIndication(peer, data, TRANSACTION_ID, { allocate, dontFragment });
        expect(pooled).toEqual(writeSendIndication(peer, data, TRANSACTION_ID, { dontFragment }));
        const indication = writeDataIndication(peer, data, TRANSACTION_ID, { allocate });
        expect(indication).toEqual(writeDataIndication(peer, data, TRANSACTION_ID));
      }),
    );
  });

  it.each([
    ["a peer that is no address", () => writeDataIndication({ ip: "peer", port: 1 }, data, TRANSACTION_ID)],
    ["too much data", () => writeDataIndication(peer, new Uint8Array(0xffff), TRANSACTION_ID)],
    ["a short transaction id", () => writeDataIndication(peer, data, hex("00"))],
  ])("refuse %s", (_name, write) => {
    expect(write).toThrow(RangeError);
  });
});

describe("a Send indication", () => {
  it("may have FINGERPRINT and attributes that need no comprehension", () => {
    const attributes = [attribute(Attr.Software, "x"), toPeer, payload, rawAttribute(0xffff, hex("01"))];
    const message = encodeMessage({ ...send, attributes, fingerprint: true });
    expect(readSendIndication(message)).toEqual({ peer, data, dontFragment: false });
  });

  it("counts the first of repeated attributes", () => {
    const attributes = [
      toPeer,
      payload,
      attribute(Attr.Data, hex("ff")),
      attribute(Attr.XorPeerAddress, { ...peer, port: 1 }),
    ];
    expect(readSendIndication(encodeMessage({ ...send, attributes }))).toEqual({ peer, data, dontFragment: false });
  });

  it.each([
    ["has no peer", [payload]],
    ["has no data", [toPeer]],
    ["has a malformed peer", [rawAttribute(Attr.XorPeerAddress.type, hex("0001")), toPeer, payload]],
    ["has a malformed DONT-FRAGMENT", [toPeer, payload, rawAttribute(Attr.DontFragment.type, hex("00"))]],
    ["has another attribute to comprehend", [toPeer, payload, attribute(Attr.Username, "x")]],
    ["has an unknown attribute to comprehend", [toPeer, payload, rawAttribute(0x7fff, hex(""))]],
    ["has a wrong FINGERPRINT", [toPeer, payload, attribute(Attr.Fingerprint, 1)]],
  ])("is left to the codec when it %s", (_name, attributes) => {
    expect(readSendIndication(encodeMessage({ ...send, attributes }))).toBeUndefined();
  });

  it("is one only with a right length and the magic cookie", () => {
    const message = writeSendIndication(peer, data, TRANSACTION_ID);
    for (const at of [0, 1, 3, 4, 7, 23, 35]) {
      const changed = message.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x40;
      expect(readSendIndication(changed), `byte ${at}`).toBeUndefined();
    }
    for (let length = 0; length < message.length; length++) {
      expect(readSendIndication(message.subarray(0, length))).toBeUndefined();
    }
  });

  it("is read as the codec reads it, or not at all", () => {
    fc.assert(
      fc.property(encodedAttributes, fc.nat(7), fc.boolean(), (others, at, fingerprint) => {
        const attributes = [...others.slice(0, at), toPeer, payload, ...others.slice(at)];
        const bytes = encodeMessage({ ...send, attributes, fingerprint });
        const read = readSendIndication(bytes);
        if (!read) return;
        const message = decoded(bytes);
        expect(read.peer).toEqual(message.get(Attr.XorPeerAddress));
        expect(toHex(read.data)).toBe(toHex(message.get(Attr.Data) ?? hex("")));
        expect(read.dontFragment).toBe(message.has(Attr.DontFragment));
      }),
    );
  });
});
