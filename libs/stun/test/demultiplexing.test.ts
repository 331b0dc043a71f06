import { classify, encodeChannelData } from "@culvert/stun";
import { expect, it } from "vitest";
import { hex, messageOf } from "./support.ts";

it.each([
  ["nothing", hex(""), "unknown"],
  ["a STUN message", messageOf("0001"), "stun"],
  ["a TURN error response", messageOf("0113"), "stun"],
  ["the last of STUN", hex("03"), "stun"],
  ["what nobody uses", hex("04"), "unknown"],
  ["up to 15", hex("0f"), "unknown"],
  ["ZRTP", hex("10"), "zrtp"],
  ["the last of ZRTP", hex("13"), "zrtp"],
  ["a DTLS change of ciphers", hex("14"), "dtls"],
  ["a DTLS handshake", hex("16feff"), "dtls"],
  ["the last of DTLS", hex("3f"), "dtls"],
  ["ChannelData", encodeChannelData(0x4000, hex("01")), "channel"],
  ["the last of ChannelData", hex("4f"), "channel"],
  ["a short header of QUIC", hex("50"), "quic"],
  ["the last of these", hex("7f"), "quic"],
  ["RTP", hex("8060"), "rtp"],
  ["the last of RTP", hex("bf"), "rtp"],
  ["a long header of QUIC", hex("c0"), "quic"],
  ["the last byte", hex("ff"), "quic"],
])("%s", (_name, bytes, kind) => {
  expect(classify(bytes)).toBe(kind);
});
