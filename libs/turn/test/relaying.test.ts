import { Attr, attribute, decodeChannelData, encodeMessage, MessageClass, Method } from "@culvert/stun";
import { mustDecode } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { known, Lab, PEER, PEER6, TCP } from "./support/lab.ts";
import { allocate, channelBind, createPermission, ENC, sendAttributes } from "./support/requests.ts";

const DATA = ENC.encode("hello");

const given = (options: ConstructorParameters<typeof Lab>[0] = {}, listener?: number) => {
  const lab = new Lab(options);
  const client = lab.client(listener === undefined ? {} : { listener });
  allocate(client);
  createPermission(client, PEER.ip);
  lab.take();
  return { lab, client };
};

describe("a Send indication (RFC 8656 section 11)", () => {
  it("goes to a permitted peer, any of its ports", () => {
    const { client } = given();
    for (const port of [1, 5000, 65535]) {
      const peer = { ...PEER, port };
      expect(client.indicate(Method.Send, sendAttributes(peer, DATA))).toEqual([
        { type: "send", to: "peer", relay: 1, peer, bytes: DATA },
      ]);
    }
  });

  it("carries DONT-FRAGMENT on", () => {
    const attributes = [...sendAttributes(PEER, DATA), attribute(Attr.DontFragment, true)];
    expect(given().client.indicate(Method.Send, attributes)).toMatchObject([{ dontFragment: true, bytes: DATA }]);
  });

  it("may be empty", () => {
    expect(given().client.indicate(Method.Send, sendAttributes(PEER, new Uint8Array(0)))).toMatchObject([
      { to: "peer", bytes: new Uint8Array(0) },
    ]);
  });

  it.each([
    ["to a peer without permission", sendAttributes({ ip: "9.9.9.10", port: 1 }, DATA), "no-permission"],
    ["to another family", sendAttributes(PEER6, DATA), "no-permission"],
    ["to port 0", sendAttributes({ ...PEER, port: 0 }, DATA), "forbidden-peer"],
    ["without DATA", [attribute(Attr.XorPeerAddress, PEER)], "malformed"],
    ["without XOR-PEER-ADDRESS", [attribute(Attr.Data, DATA)], "malformed"],
  ])("%s is dropped", (_, attributes, reason) => {
    const { lab, client } = given();
    client.send(client.session.indication(Method.Send, attributes));
    expect(lab.drops()).toEqual([reason]);
    expect(lab.take()).toEqual([]);
  });

  it("without an allocation is dropped", () => {
    const lab = new Lab();
    const client = lab.client();
    client.send(client.session.indication(Method.Send, sendAttributes(PEER, DATA)));
    expect(lab.drops()).toEqual(["no-allocation"]);
  });
});

describe("ChannelData from a client (RFC 8656 section 12.6)", () => {
  it("goes to the channel's peer", () => {
    const { client } = given();
    channelBind(client, 0x4000, PEER);
    expect(client.sendChannelData(0x4000, DATA)).toEqual([
      { type: "send", to: "peer", relay: 1, peer: PEER, bytes: DATA },
    ]);
  });

  it("on an unknown channel is dropped", () => {
    const { lab, client } = given();
    client.send(Uint8Array.of(0x40, 1, 0, 0));
    expect(lab.drops()).toEqual(["no-channel"]);
  });

  it("whose permission expired is dropped", () => {
    const { lab, client } = given();
    channelBind(client, 0x4000, PEER);
    lab.advance(300_000);
    expect(client.sendChannelData(0x4000, DATA)).toEqual([]);
  });

  it.each([
    ["that claims more than the datagram has", [0x40, 0, 0, 9, 1, 2, 3]],
    ["of 64 KiB in a few bytes", [0x40, 0, 0xff, 0xff, 0]],
    ["cut in its header", [0x40, 0, 0]],
    ["of a number that is none", [0x80, 0, 0, 1, 1]],
  ])("%s is dropped", (_, bytes) => {
    const { lab, client } = given();
    channelBind(client, 0x4000, PEER);
    lab.take();
    client.send(Uint8Array.from(bytes));
    expect(lab.drops()).toEqual(["malformed"]);
    expect(lab.take()).toEqual([]);
  });
});

describe("a datagram from a peer (RFC 8656 sections 11.3 and 12.7)", () => {
  it("becomes a Data indication", () => {
    const { lab, client } = given();
    lab.server.handlePeerInput(1, PEER, DATA, lab.now);
    const [output, ...rest] = lab.take();
    expect(rest).toEqual([]);
    expect(output).toMatchObject({ type: "send", to: "client", client: client.tuple });
    const message = mustDecode(client.received(output === undefined ? [] : [output])[0] ?? new Uint8Array(0));
    expect([message.method, message.class]).toEqual([Method.Data, MessageClass.Indication]);
    expect(message.get(Attr.XorPeerAddress)).toEqual(PEER);
    expect(message.get(Attr.Data)).toEqual(DATA);
  });

  it("becomes ChannelData where a channel is bound to its very address and port", () => {
    const { lab, client } = given();
    channelBind(client, 0x4001, PEER);
    lab.take();
    lab.server.handlePeerInput(1, PEER, DATA, lab.now);
    lab.server.handlePeerInput(1, { ...PEER, port: 5001 }, DATA, lab.now);
    const [first, second] = client.received(lab.take());
    expect(decodeChannelData(first ?? new Uint8Array(0))).toEqual({ channel: 0x4001, data: DATA });
    expect(first).toHaveLength(4 + DATA.length);
    expect(mustDecode(second ?? new Uint8Array(0)).method).toBe(Method.Data);
  });

  it("is padded with zeros on a stream", () => {
    const { lab, client } = given({}, TCP);
    channelBind(client, 0x4000, PEER);
    lab.take();
    lab.server.handlePeerInput(1, PEER, DATA, lab.now);
    expect(client.received(lab.take())[0]).toEqual(Uint8Array.of(0x40, 0, 0, 5, ...DATA, 0, 0, 0));
  });

  it("without a permission is dropped", () => {
    const { lab } = given();
    lab.server.handlePeerInput(1, { ip: "9.9.9.10", port: PEER.port }, DATA, lab.now);
    lab.server.handlePeerInput(2, PEER, DATA, lab.now);
    expect(lab.drops()).toEqual(["no-permission", "unknown-relay"]);
    expect(lab.take()).toEqual([]);
  });

  it("after the permission expired is dropped, handleTimeout or not", () => {
    const { lab } = given();
    lab.server.handlePeerInput(1, PEER, DATA, lab.now + 300_000);
    lab.settle();
    expect(lab.drops()).toEqual(["no-permission"]);
  });

  it("that no Data indication can carry is dropped", () => {
    const { lab } = given();
    lab.server.handlePeerInput(1, PEER, new Uint8Array(65_507), lab.now);
    lab.settle();
    expect(lab.drops()).toEqual(["malformed"]);
  });
});

describe("the rate that a credential allows", () => {
  it("goes into the table and holds here in each direction", () => {
    const { lab, client } = given({ resolve: () => known({ tenant: "acme", user: "alice", maxBps: 1000 }) });
    const before = lab.client({ port: 77 });
    allocate(before);
    expect(lab.take()).toContainEqual(
      expect.objectContaining({ entry: expect.objectContaining({ maxBytesPerSecond: 1000 }) }),
    );

    const data = new Uint8Array(400);
    const send = () => client.indicate(Method.Send, sendAttributes(PEER, data)).length;
    expect([send(), send(), send()]).toEqual([1, 1, 0]);
    lab.advance(200);
    expect([send(), send()]).toEqual([1, 0]);
    lab.server.handlePeerInput(1, PEER, new Uint8Array(1000), lab.now);
    lab.server.handlePeerInput(1, PEER, new Uint8Array(1), lab.now);
    expect(client.received(lab.take())).toHaveLength(1);
  });
});

describe("an ICMP error (RFC 8656 section 11.5)", () => {
  it("becomes a Data indication with ICMP and without DATA", () => {
    const { lab, client } = given();
    lab.server.handlePeerError(1, PEER, { type: 3, code: 4, data: 1400 }, lab.now);
    lab.settle();
    expect(lab.events("peer-error")).toMatchObject([{ peer: PEER }]);
    const message = mustDecode(client.received(lab.take())[0] ?? new Uint8Array(0));
    expect([message.method, message.class]).toEqual([Method.Data, MessageClass.Indication]);
    expect(message.get(Attr.XorPeerAddress)).toEqual(PEER);
    expect(message.get(Attr.Icmp)).toEqual({ type: 3, code: 4, data: 1400 });
    expect(message.has(Attr.Data)).toBe(false);
  });

  it("for a peer without permission, an unknown relay or of impossible numbers is dropped", () => {
    const { lab } = given();
    lab.server.handlePeerError(1, { ip: "9.9.9.10", port: 1 }, { type: 3, code: 3, data: 0 }, lab.now);
    lab.server.handlePeerError(9, PEER, { type: 3, code: 3, data: 0 }, lab.now);
    lab.server.handlePeerError(1, PEER, { type: 300, code: 3, data: 0 }, lab.now);
    lab.settle();
    expect(lab.drops()).toEqual(["no-permission", "unknown-relay", "malformed"]);
    expect(lab.take()).toEqual([]);
  });
});

describe("what is no business of a TURN server", () => {
  it.each([
    ["a Data indication", Method.Data, MessageClass.Indication, "unknown-method"],
    ["an Allocate indication", Method.Allocate, MessageClass.Indication, "unknown-method"],
    ["a success response", Method.Binding, MessageClass.Success, "unexpected-class"],
    ["an error response", Method.Allocate, MessageClass.Error, "unexpected-class"],
    ["a Send request", Method.Send, MessageClass.Request, "unknown-method"],
    ["a Connect request", Method.Connect, MessageClass.Request, "unknown-method"],
    ["a ConnectionBind request", Method.ConnectionBind, MessageClass.Request, "unknown-method"],
    ["a request of a method that nobody knows", 0xfff, MessageClass.Request, "unknown-method"],
  ])("%s is dropped", (_, method, messageClass, reason) => {
    const { lab, client } = given();
    client.send(encodeMessage({ method, class: messageClass, transactionId: new Uint8Array(12) }));
    expect(lab.drops()).toEqual([reason]);
    expect(lab.take()).toEqual([]);
  });

  it("a Binding indication keeps a NAT open and is otherwise ignored", () => {
    const { lab, client } = given();
    expect(client.indicate(Method.Binding, [])).toEqual([]);
    expect(lab.drops()).toEqual([]);
  });

  it("input from a listener that is not configured is dropped", () => {
    const lab = new Lab();
    lab.client({ listener: 99 }).send(new Uint8Array(20));
    expect(lab.drops()).toEqual(["unknown-listener"]);
  });
});
