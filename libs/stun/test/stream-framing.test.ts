import { encodeChannelData, StreamFramer } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, message } from "./arbitraries.ts";
import { ascii, hex, messageOf, toHex } from "./support.ts";

const BINDING = messageOf("0001", "000d000400000258");
const CHANNEL_DATA = encodeChannelData(0x4001, hex("010203"));
const PADDED = encodeChannelData(0x4001, hex("010203"), { padded: true });

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Cuts bytes at these places. */
function chunks(whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)).toSorted((a, b) => a - b), whole.length];
  return places.slice(1).map((end, i) => whole.slice(places[i], end));
}

const channelData = fc.record({ channel: fc.integer({ min: 0x4000, max: 0x7fff }), data: bytes(0, 300) });
/** What goes over the wire, and the frame that it is. */
const piece = fc.oneof(
  message.map((bytes) => ({ wire: bytes, frame: bytes })),
  channelData.map(({ channel, data }) => ({
    wire: encodeChannelData(channel, data, { padded: true }),
    frame: encodeChannelData(channel, data),
  })),
);

describe("a stream of STUN and ChannelData messages", () => {
  it("gives its messages, ChannelData without padding", () => {
    const { frames, error } = new StreamFramer().push(concat(BINDING, PADDED, BINDING));
    expect(frames).toEqual([BINDING, CHANNEL_DATA, BINDING]);
    expect(error).toBeUndefined();
  });

  it("gives the same messages however it is cut", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), fc.array(fc.nat(5000), { maxLength: 30 }), (pieces, cuts) => {
        const framer = new StreamFramer();
        const frames: Uint8Array[] = [];
        for (const chunk of chunks(concat(...pieces.map(({ wire }) => wire)), cuts)) {
          for (const frame of framer.push(chunk).frames) frames.push(frame.slice());
          chunk.fill(0xee);
        }
        expect(frames.map(toHex)).toEqual(pieces.map(({ frame }) => toHex(frame)));
        expect(framer.buffered).toBe(0);
      }),
    );
  });

  it("gives the same messages and the same error for any bytes however they are cut", () => {
    const alphabet = fc.constantFrom(0, 0, 1, 4, 0x21, 0x12, 0xa4, 0x42, 0x40, 0x7f, 0x80);
    const anything = fc.array(alphabet, { maxLength: 60 }).map((list) => new Uint8Array(list));
    fc.assert(
      fc.property(
        fc.tuple(fc.array(piece, { maxLength: 2 }), anything),
        fc.array(fc.nat(2000), { maxLength: 20 }),
        ([pieces, tail], cuts) => {
          const stream = concat(...pieces.map(({ wire }) => wire), tail);
          const atOnce = new StreamFramer().push(stream);
          const framer = new StreamFramer();
          const frames = chunks(stream, cuts).flatMap((chunk) => framer.push(chunk).frames);
          expect(frames.map(toHex)).toEqual(atOnce.frames.map(toHex));
          expect(framer.error).toBe(atOnce.error);
        },
      ),
    );
  });

  it("waits for the rest of a message", () => {
    const framer = new StreamFramer();
    expect(framer.push(BINDING.subarray(0, 27)).frames).toEqual([]);
    expect(framer.buffered).toBe(27);
    expect(framer.push(BINDING.subarray(27)).frames).toEqual([BINDING]);
  });

  it("gives each message of one byte a push, empty ChannelData too", () => {
    const framer = new StreamFramer();
    const empty = encodeChannelData(0x4000, new Uint8Array());
    const frames = [...concat(empty, empty, BINDING)].flatMap((byte) => framer.push(new Uint8Array([byte])).frames);
    expect(frames).toEqual([empty, empty, BINDING]);
  });
});

describe("a stream of something else is an error", () => {
  it.each([
    ["TLS", hex("160301020001")],
    ["a TLS record with a length that is a multiple of four", hex("16030100000000000000")],
    ["RFC 3489", hex(`00010000${"00".repeat(16)}`)],
    ["a STUN length that is no multiple of four", hex("00010001")],
    ["channel 0x8000", hex("80000000")],
    ["RTP", hex("80")],
  ])("%s", (_name, stream) => {
    expect(new StreamFramer().push(stream)).toEqual({ frames: [], error: "not-stun" });
  });

  it("gives the messages before it", () => {
    const { frames, error } = new StreamFramer().push(concat(BINDING, hex("ffff")));
    expect(frames).toEqual([BINDING]);
    expect(error).toBe("not-stun");
  });

  it("and nothing after it", () => {
    const framer = new StreamFramer();
    framer.push(hex("ff"));
    expect(framer.push(BINDING)).toEqual({ frames: [], error: "not-stun" });
    expect(framer.buffered).toBe(0);
  });
});

describe("a limit on messages", () => {
  it("refuses a longer STUN message by its header", () => {
    const framer = new StreamFramer({ maxFrame: 27 });
    expect(framer.push(BINDING.subarray(0, 8)).error).toBe("frame-too-large");
  });

  it("refuses a longer ChannelData message by its header", () => {
    expect(new StreamFramer({ maxFrame: 1600 }).push(hex("4000ffff")).error).toBe("frame-too-large");
  });

  it("takes messages up to it", () => {
    const framer = new StreamFramer({ maxFrame: 28 });
    expect(framer.push(concat(BINDING, PADDED)).frames).toEqual([BINDING, CHANNEL_DATA]);
  });

  it("takes 64 KiB of ChannelData without one", () => {
    const data = new Uint8Array(0xffff).fill(7);
    const { frames } = new StreamFramer().push(encodeChannelData(0x4000, data, { padded: true }));
    expect(frames).toEqual([encodeChannelData(0x4000, data)]);
  });
});

describe("a stream that turns into something else", () => {
  it("gives what came after the last message that was read", () => {
    const framer = new StreamFramer();
    framer.write(concat(BINDING, ascii("GET / HTTP/1.1")));
    expect(framer.next()).toEqual(BINDING);
    expect(framer.takeRest()).toEqual(ascii("GET / HTTP/1.1"));
    expect(framer.buffered).toBe(0);
  });

  it("gives what was kept of earlier chunks, too", () => {
    const framer = new StreamFramer();
    framer.write(concat(BINDING.subarray(0, 5)));
    expect(framer.next()).toBeUndefined();
    framer.write(concat(BINDING.subarray(5), CHANNEL_DATA));
    expect(framer.next()).toEqual(BINDING);
    framer.write(hex("ff"));
    expect(framer.takeRest()).toEqual(concat(CHANNEL_DATA, hex("ff")));
  });
});
