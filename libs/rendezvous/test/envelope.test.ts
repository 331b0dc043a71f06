import { CLIENT_MESSAGES, DEFAULT_LIMITS, parseClientFrame } from "@culvert/rendezvous";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

const frame = (changes: object): string =>
  JSON.stringify({ v: 1, type: "presence.set", seq: 1, ack: 0, data: { status: "away" }, ...changes });

const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("envelope", () => {
  it.each([
    ["not JSON", "{"],
    ["empty", ""],
    ["not an object", "[]"],
    ["no seq", JSON.stringify({ v: 1, type: "ack", ack: 0, data: {} })],
    ["no data", JSON.stringify({ v: 1, type: "presence.set", seq: 1, ack: 0 })],
    ["an unknown field", frame({ extra: 1 })],
    ["__proto__", '{"v":1,"type":"ack","seq":0,"ack":0,"data":{},"__proto__":{}}'],
    ["a negative seq", frame({ seq: -1 })],
    ["a fractional seq", frame({ seq: 1.5 })],
    ["a huge seq", frame({ seq: 2 ** 60 })],
    ["a seq that is text", frame({ seq: "1" })],
    ["an empty id", frame({ id: "" })],
    ["a long id", frame({ id: "x".repeat(65) })],
    ["control characters", frame({ id: "a\nb" })],
    ["NUL in a room", frame({ room: "a\0" })],
    ["nested arrays", frame({ data: JSON.parse(nested(16)) })],
    ["100 levels", `{"v":1,"type":"ack","seq":0,"ack":0,"data":${nested(100)}}`],
    ["30000 levels", nested(30_000)],
    ["30000 unclosed levels", "[".repeat(30_000)],
    ["30000 objects", '{"a":'.repeat(12_000)],
  ])("closes on a message with %s", (_name, text) => {
    const replica = new World().replica();
    const client = replica.join("acme:alice");
    client.raw(text);
    expect(client.errors).toEqual(["bad_message"]);
    expect(client.closed).toEqual({ code: 4400, reason: "bad_message" });
    expect(replica.refusals).toEqual(["bad_message"]);
  });

  it("does not count brackets inside strings", () => {
    const client = new World().replica().join("acme:alice");
    client.send("presence.set", { status: `\\"[[[[[[[[[[[[[[[[[[` });
    expect(client.errors).toEqual([]);
  });

  it("closes on another version, naming its own", () => {
    const client = new World().replica().join("acme:alice");
    client.raw(frame({ v: 2 }));
    expect(client.of("error")[0]?.data).toMatchObject({ code: "unsupported_version" });
    expect(client.closed?.code).toBe(4400);
  });

  it("counts the bytes of UTF-8 for the limit, not characters", () => {
    const empty = frame({ data: { status: "away", note: "" } }).length;
    const fits = frame({ data: { status: "away", note: "é".repeat((65_536 - empty) / 2) } });
    expect(Buffer.byteLength(fits)).toBeLessThanOrEqual(65_536);
    expect(parseClientFrame(fits, DEFAULT_LIMITS)).toMatchObject({ code: "invalid_data" });
    expect(parseClientFrame(`${fits}  `, DEFAULT_LIMITS)).toMatchObject({ code: "too_large" });
    const client = new World().replica().join("acme:alice");
    client.raw(`${fits}  `);
    expect(client.closed).toEqual({ code: 1009, reason: "too_large" });
  });

  it.each([
    ["unknown_type", { type: "connect.teleport" }],
    ["unknown_type", { type: "constructor" }],
    ["unknown_type", { type: "__proto__" }],
    ["not_allowed", { type: "connect.plan", data: {} }],
    ["not_allowed", { type: "punch.go", data: {} }],
    ["not_allowed", { type: "relay.credentials", data: {} }],
    ["not_allowed", { type: "error", data: {} }],
    ["invalid_data", { data: {} }],
    ["invalid_data", { data: { status: 1 } }],
    ["invalid_data", { data: { status: "away", extra: 1 } }],
    ["invalid_data", { to: "bob" }],
    ["invalid_data", { room: "lobby" }],
    ["invalid_data", { type: "ice.desc", data: { description: { type: "offer", sdp: "v=0" } } }],
    ["invalid_data", { type: "room.join", data: {} }],
    ["invalid_data", { type: "ice.desc", to: "bob", data: { description: { type: "bid" } } }],
    [
      "invalid_data",
      { type: "endpoints.update", data: { endpoints: [{ kind: "host", transport: "udp", ip: "1.2.3", port: 1 }] } },
    ],
    ["invalid_data", { type: "connect.request", to: "bob", data: { metadata: { "a b": "x" } } }],
    ["invalid_data", { type: "presence.get", data: { users: Array.from({ length: 65 }, () => "u") } }],
  ])("refuses with %s and goes on: %j", (code, changes) => {
    const client = new World().replica().join("acme:alice");
    client.raw(frame({ id: "q", ...changes }));
    expect(client.of("error")).toMatchObject([{ id: "q", seq: 1, ack: 0, data: { code, re: 1 } }]);
    expect(client.closed).toBeUndefined();
    client.seq = 1;
    client.send("presence.set", { status: "away" });
    expect(client.errors).toEqual([code]);
  });

  it("closes a connection that is refused again and again", () => {
    const client = new World({ violations: 3 }).replica().join("acme:alice");
    for (let index = 0; index < 4; index++) client.sendAny("nonsense", {});
    expect(client.errors).toEqual([
      "unknown_type",
      "unknown_type",
      "unknown_type",
      "unknown_type",
      "too_many_violations",
    ]);
    expect(client.closed?.code).toBe(4400);
  });

  it("never throws, whatever comes", () => {
    const type = fc.constantFrom(...Object.keys(CLIENT_MESSAGES), "connect.plan", "x");
    const envelope = fc.record(
      {
        v: fc.constant(1),
        id: fc.string(),
        type,
        seq: fc.nat(3),
        ack: fc.nat(3),
        to: fc.string(),
        from: fc.string(),
        room: fc.string(),
        data: fc.jsonValue(),
      },
      { requiredKeys: ["v", "type", "seq", "ack", "data"] },
    );
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      envelope.map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 20 }), (texts) => {
        const client = new World().replica().join("acme:alice");
        for (const each of texts) client.raw(each);
      }),
    );
  });
});
