import { formatStunUri, formatTurnUri, parseStunUri, parseTurnUri } from "@culvert/stun";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ip } from "./arbitraries.ts";

const port = fc.integer({ min: 1, max: 0xffff });
const host = fc.oneof(ip, fc.domain());

describe("STUN URIs (RFC 7064)", () => {
  it.each([
    ["stun:example.org", { scheme: "stun", host: "example.org", port: 3478 }],
    ["stuns:example.org", { scheme: "stuns", host: "example.org", port: 5349 }],
    ["stun:example.org:8000", { scheme: "stun", host: "example.org", port: 8000 }],
    ["stun:example.org:", { scheme: "stun", host: "example.org", port: 3478 }],
    ["STUN:Example.ORG", { scheme: "stun", host: "example.org", port: 3478 }],
    ["stun:192.0.2.1:1", { scheme: "stun", host: "192.0.2.1", port: 1 }],
    ["stun:[2001:DB8::1]:65535", { scheme: "stun", host: "2001:db8::1", port: 65535 }],
  ])("%s", (text, uri) => {
    expect(parseStunUri(text)).toEqual(uri);
  });

  it.each([
    "",
    "stun:",
    "stun",
    "stun://example.org",
    "turn:example.org",
    "http:example.org",
    "stun:example.org?transport=udp",
    "stun:example.org:0",
    "stun:example.org:65536",
    "stun:example.org:80a",
    "stun:user@example.org",
    "stun:example.org/path",
    "stun:example.org#fragment",
    "stun:2001:db8::1",
    "stun:[192.0.2.1]",
    "stun:[fe80::1%25eth0]",
    "stun:[::1",
    "stun:exa mple.org",
    " stun:example.org",
    "stun:example.org\n",
  ])("is not %j", (text) => {
    expect(parseStunUri(text)).toBeUndefined();
  });

  it("come back as they were", () => {
    fc.assert(
      fc.property(fc.constantFrom("stun", "stuns"), host, port, (scheme, host, port) => {
        const uri = { scheme, host, port } as const;
        expect(parseStunUri(formatStunUri(uri))).toEqual(uri);
      }),
    );
  });
});

describe("TURN URIs (RFC 7065)", () => {
  it.each([
    ["turn:example.org", { scheme: "turn", host: "example.org", port: 3478, transport: "udp" }],
    ["turns:example.org", { scheme: "turns", host: "example.org", port: 5349, transport: "tcp" }],
    ["turn:example.org:8000", { scheme: "turn", host: "example.org", port: 8000, transport: "udp" }],
    ["turn:example.org?transport=udp", { scheme: "turn", host: "example.org", port: 3478, transport: "udp" }],
    ["turn:example.org?transport=tcp", { scheme: "turn", host: "example.org", port: 3478, transport: "tcp" }],
    ["turns:example.org?transport=tcp", { scheme: "turns", host: "example.org", port: 5349, transport: "tcp" }],
    ["turns:example.org?transport=udp", { scheme: "turns", host: "example.org", port: 5349, transport: "udp" }],
    ["turn:[::1]:3479?transport=tcp", { scheme: "turn", host: "::1", port: 3479, transport: "tcp" }],
  ])("%s", (text, uri) => {
    expect(parseTurnUri(text)).toEqual(uri);
  });

  it.each([
    "turn:",
    "stun:example.org",
    "turn://example.org",
    "turn:example.org?",
    "turn:example.org?transport=",
    "turn:example.org?transport=sctp",
    "turn:example.org?transport=udp&x=1",
    "turn:example.org?TRANSPORT",
    "turn:example.org:99999",
  ])("is not %j", (text) => {
    expect(parseTurnUri(text)).toBeUndefined();
  });

  it("come back as they were", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("turn", "turns"),
        host,
        port,
        fc.constantFrom("udp", "tcp"),
        (scheme, host, port, transport) => {
          const uri = { scheme, host, port, transport } as const;
          expect(parseTurnUri(formatTurnUri(uri))).toEqual(uri);
        },
      ),
    );
  });
});

it("any text is a URI or is not, but never an exception", () => {
  fc.assert(
    fc.property(fc.constantFrom("stun:", "turns:", ""), fc.string({ unit: "binary" }), (scheme, rest) => {
      parseStunUri(scheme + rest);
      parseTurnUri(scheme + rest);
    }),
  );
});
