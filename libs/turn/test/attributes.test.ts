import { Attr, attribute, encodeMessage, MessageClass, Method, rawAttribute } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, PEER } from "./support/lab.ts";
import { allocate, createPermission, refresh, sendAttributes, UDP_TRANSPORT } from "./support/requests.ts";

const unknown = (type: number) => rawAttribute(type, Uint8Array.of(1, 2, 3, 4));

/** Appends an attribute to a finished message. */
function append(bytes: Uint8Array, type: number, value: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 4 + value.length);
  out.set(bytes);
  out.set(value, bytes.length + 4);
  const view = new DataView(out.buffer);
  view.setUint16(2, out.length - 20);
  view.setUint16(bytes.length, type);
  view.setUint16(bytes.length + 2, value.length);
  return out;
}

describe("unknown comprehension-required attributes (RFC 8489 section 6.3.1)", () => {
  it("in a request are named with 420, protected", () => {
    const reply = allocate(new Lab().client(), [unknown(0x7001), unknown(0x0002), unknown(0x7001)]);
    expect(reply.outcome).toBe(420);
    expect(reply.message?.get(Attr.UnknownAttributes)).toEqual([0x7001, 0x0002]);
    expect(reply.message?.has(Attr.MessageIntegrity)).toBe(true);
  });

  it.each([
    ["ACCESS-TOKEN", Attr.AccessToken.type],
    ["CONNECTION-ID", Attr.ConnectionId.type],
    ["CHANGE-REQUEST", Attr.ChangeRequest.type],
  ])("are those that this server does not act on, too: %s", (_, type) => {
    expect(allocate(new Lab().client(), [unknown(type)]).message?.get(Attr.UnknownAttributes)).toEqual([type]);
  });

  it("do not count before the request is authenticated", () => {
    const client = new Lab().client();
    expect(client.replyTo(client.session.bare(Method.Allocate, [unknown(0x7001)])).outcome).toBe(401);
    expect(allocate(client, [unknown(0x7001)], { nonce: "stale" }).outcome).toBe(438);
  });

  it("in an indication make it be dropped", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    createPermission(client, PEER.ip);
    client.indicate(Method.Send, [...sendAttributes(PEER, Uint8Array.of(1)), unknown(0x7001)]);
    client.send(client.session.indication(Method.Send, [...sendAttributes(PEER, Uint8Array.of(1)), unknown(0x7001)]));
    expect(lab.drops()).toEqual(["unknown-attribute"]);
  });

  it("are not the optional ones", () => {
    expect(allocate(new Lab().client(), [unknown(0xc999), unknown(0x8fff)]).outcome).toBe("success");
  });
});

describe("attributes that do not parse", () => {
  it.each([
    ["REQUESTED-TRANSPORT", [rawAttribute(0x19, Uint8Array.of(17))]],
    ["LIFETIME", [UDP_TRANSPORT, rawAttribute(0x0d, Uint8Array.of(1, 2))]],
    ["REQUESTED-ADDRESS-FAMILY", [UDP_TRANSPORT, rawAttribute(0x17, Uint8Array.of(9, 0, 0, 0))]],
    ["RESERVATION-TOKEN", [UDP_TRANSPORT, rawAttribute(0x22, new Uint8Array(7))]],
    ["EVEN-PORT", [UDP_TRANSPORT, rawAttribute(0x18, new Uint8Array(4))]],
    ["DONT-FRAGMENT", [UDP_TRANSPORT, rawAttribute(0x1a, new Uint8Array(4))]],
    ["ADDITIONAL-ADDRESS-FAMILY", [UDP_TRANSPORT, rawAttribute(0x8000, Uint8Array.of(9, 0, 0, 0))]],
  ])("are answered with 400: %s", (_, attributes) => {
    expect(new Lab().client().request(Method.Allocate, attributes).outcome).toBe(400);
  });

  it("are ignored where they are optional and mean nothing here", () => {
    expect(allocate(new Lab().client(), [rawAttribute(Attr.Software.type, new Uint8Array(900))]).outcome).toBe(
      "success",
    );
  });
});

describe("attributes that do not count", () => {
  it("are those after MESSAGE-INTEGRITY", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    const bytes = append(client.session.request(Method.Refresh), Attr.Lifetime.type, new Uint8Array(4));
    expect(client.replyTo(append(bytes, 0x7001, new Uint8Array(4))).outcome).toBe("success");
    expect(lab.server.size).toBe(1);
  });

  it("are the credentials after MESSAGE-INTEGRITY", () => {
    const client = new Lab().client();
    client.challenge();
    const signed = encodeMessage({
      method: Method.Allocate,
      class: MessageClass.Request,
      transactionId: new Uint8Array(12),
      attributes: [UDP_TRANSPORT],
      integrity: {
        key: new Uint8Array(16),
        algorithm: "sha1",
        crypto: {
          md5: () => new Uint8Array(16),
          sha256: () => new Uint8Array(32),
          hmacSha1: () => new Uint8Array(20),
          hmacSha256: () => new Uint8Array(32),
        },
      },
    });
    expect(client.replyTo(append(signed, Attr.Username.type, new TextEncoder().encode("carl"))).outcome).toBe(400);
  });

  it("are repetitions: the first one counts", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    refresh(client, 1200, [attribute(Attr.Lifetime, 0)]);
    expect(lab.server.size).toBe(1);
  });
});

describe("input that is no message", () => {
  it.each([
    ["nothing", []],
    ["one byte", [0]],
    ["a cut header", [0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42]],
    ["a length beyond the end", [0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, ...new Uint8Array(12)]],
    ["DTLS", [22, 254, 253, 0, 0]],
    ["RTP", [0x80, 96, 0, 1]],
    ["text", [...new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")]],
  ])("is dropped: %s", (_, bytes) => {
    const lab = new Lab();
    lab.client().send(Uint8Array.from(bytes));
    expect(lab.drops()).toEqual(["malformed"]);
    expect(lab.take()).toEqual([]);
  });

  it("is dropped where FINGERPRINT is wrong", () => {
    const lab = new Lab();
    const client = lab.client();
    const bytes = client.session.bare(Method.Binding, [], { fingerprint: true });
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    client.send(bytes);
    expect(lab.drops()).toEqual(["fingerprint"]);
  });

  it.each([
    [Method.Allocate, MessageClass.Request],
    [Method.Send, MessageClass.Indication],
  ])("is dropped where it is an RFC 3489 message for TURN (method %i)", (method, messageClass) => {
    const lab = new Lab();
    const bytes = encodeMessage({
      method,
      class: messageClass,
      transactionId: new Uint8Array(16),
      legacy: true,
    });
    lab.client().send(bytes);
    expect(lab.drops()).toEqual(["legacy"]);
  });
});

describe("Binding", () => {
  it("needs no credentials and tells the reflexive address, nothing else", () => {
    const lab = new Lab({ config: { software: "culvert" } });
    const client = lab.client();
    const reply = client.replyTo(client.session.bare(Method.Binding));
    expect(reply.outcome).toBe("success");
    expect(reply.message?.types).toEqual([Attr.XorMappedAddress.type]);
    expect(reply.message?.get(Attr.XorMappedAddress)).toEqual(client.tuple.remote);
    expect(lab.events("request")).toMatchObject([{ method: Method.Binding, transport: "udp" }]);
  });

  it("of an RFC 3489 client is answered with MAPPED-ADDRESS and without the cookie", () => {
    const client = new Lab().client();
    const transactionId = new Uint8Array(16).fill(5);
    const reply = client.replyTo(
      encodeMessage({ method: Method.Binding, class: MessageClass.Request, transactionId, legacy: true }),
    );
    expect(reply.message?.legacy).toBe(true);
    expect([...(reply.message?.transactionId ?? [])]).toEqual([...transactionId]);
    expect(reply.message?.get(Attr.MappedAddress)).toEqual(client.tuple.remote);
  });

  it("with an unknown attribute is answered with 420", () => {
    const client = new Lab().client();
    const reply = client.replyTo(client.session.bare(Method.Binding, [attribute(Attr.ResponsePort, 99)]));
    expect(reply.outcome).toBe(420);
    expect(reply.message?.get(Attr.UnknownAttributes)).toEqual([Attr.ResponsePort.type]);
  });
});
