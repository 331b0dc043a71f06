import { decodeChannelData, encodeChannelData, isChannelNumber, isRfc5766ChannelNumber } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes } from "./arbitraries.ts";
import { hex, toHex } from "./support.ts";

const channel = fc.integer({ min: 0x4000, max: 0x7fff });

describe("ChannelData", () => {
  it("is a channel number, a length and the data", () => {
    expect(toHex(encodeChannelData(0x4001, hex("010203")))).toBe("40010003010203");
  });

  it("is padded with zeros to a multiple of four for a stream", () => {
    expect(toHex(encodeChannelData(0x4001, hex("010203"), { padded: true }))).toBe("4001000301020300");
    expect(toHex(encodeChannelData(0x4001, hex("01020304"), { padded: true }))).toBe("4001000401020304");
  });

  it("comes back as it was, padded or not", () => {
    fc.assert(
      fc.property(channel, bytes(0, 2000), fc.boolean(), (channel, data, padded) => {
        expect(decodeChannelData(encodeChannelData(channel, data, { padded }))).toEqual({ channel, data });
      }),
    );
  });

  it("has zeros in its padding when its bytes come from a pool", () => {
    const allocate = (size: number): Uint8Array => new Uint8Array(size).fill(0xee);
    expect(toHex(encodeChannelData(0x4001, hex("01"), { padded: true, allocate }))).toBe("4001000101000000");
  });

  it("is a view of the datagram", () => {
    const datagram = hex("40000002aabb");
    expect(decodeChannelData(datagram)?.data.buffer).toBe(datagram.buffer);
  });

  it.each([
    ["nothing", ""],
    ["half a header", "400000"],
    ["a length beyond the datagram", "40000004010203"],
    ["a claim of 65535 bytes", "4000ffff01"],
    ["channel 0x3FFF", "3fff0000"],
    ["channel 0x8000", "80000000"],
    ["channel 0xFFFF", "ffff0000"],
  ])("is not %s", (_name, datagram) => {
    expect(decodeChannelData(hex(datagram))).toBeUndefined();
  });

  it.each([
    ["channel 0x8000", () => encodeChannelData(0x8000, new Uint8Array())],
    ["more than 65535 bytes", () => encodeChannelData(0x4000, new Uint8Array(65536))],
  ])("cannot have %s", (_name, encode) => {
    expect(encode).toThrow(RangeError);
  });
});

it("channel numbers are 0x4000 to 0x4FFF", () => {
  expect([0x3fff, 0x4000, 0x4fff, 0x5000, 0x4000 + 0.5].map(isChannelNumber)).toEqual([
    false,
    true,
    true,
    false,
    false,
  ]);
});

it("channel numbers of RFC 5766 are 0x4000 to 0x7FFF", () => {
  expect([0x3fff, 0x4000, 0x4fff, 0x5000, 0x7fff, 0x8000].map(isRfc5766ChannelNumber)).toEqual([
    false,
    true,
    true,
    true,
    true,
    false,
  ]);
});
