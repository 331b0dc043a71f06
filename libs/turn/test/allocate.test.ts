import { Attr, attribute, checkIntegrity, longTermKey, Method } from "@culvert/stun";
import { nodeCrypto } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { Lab, REALM, RELAY_IP, RELAY_IP6, TCP, UDP6 } from "./support/lab.ts";
import { allocate, refresh, relayedOf, UDP_TRANSPORT } from "./support/requests.ts";

describe("Allocate (RFC 8656 section 7)", () => {
  it("binds a relay socket, enters it into the table, then answers", () => {
    const lab = new Lab();
    const client = lab.client();
    client.challenge();
    lab.take();
    const reply = allocate(client);
    const relayed = relayedOf(reply);
    expect(relayed.ip).toBe(RELAY_IP);
    expect(relayed.port).toBeGreaterThanOrEqual(49152);
    expect(lab.take()).toEqual([
      { type: "bind", relay: 1, local: relayed },
      {
        type: "upsert",
        entry: { kind: "allocation", relay: 1, client: client.tuple, family: 4, deadline: lab.now + 600_000 },
      },
      { type: "send", to: "client", client: client.tuple, bytes: reply.message?.bytes },
    ]);
    expect(reply.message?.get(Attr.Lifetime)).toBe(600);
    expect(reply.message?.get(Attr.XorMappedAddress)).toEqual(client.tuple.remote);
  });

  it("protects the response with the client's key", () => {
    const reply = allocate(new Lab().client());
    if (reply.message === undefined) throw new Error("no answer");
    const key = longTermKey({ username: "alice", realm: REALM, password: "secret", algorithm: "md5" }, nodeCrypto);
    expect(checkIntegrity(reply.message, "sha1", key, nodeCrypto)).toBe("valid");
  });

  it("waits for the socket", () => {
    const lab = new Lab({ bind: () => undefined });
    const client = lab.client();
    expect(allocate(client).outcome).toBe("none");
    lab.server.handleBound(1, { ok: true }, lab.now);
    lab.settle();
    expect(lab.events("allocation-created")).toHaveLength(1);
  });

  it("answers a retransmission with the same response and binds nothing", () => {
    const lab = new Lab();
    const client = lab.client();
    client.challenge();
    const bytes = client.session.request(Method.Allocate, [UDP_TRANSPORT]);
    const first = client.replyTo(bytes);
    lab.take();
    const second = client.replyTo(bytes);
    expect(second.outcome).toBe("success");
    expect(second.message?.bytes).toEqual(first.message?.bytes);
    expect(lab.take()).toHaveLength(1);
    expect(lab.server.size).toBe(1);
  });

  it("ignores a retransmission while the socket is being opened", () => {
    const lab = new Lab({ bind: () => undefined });
    const client = lab.client();
    client.challenge();
    const bytes = client.session.request(Method.Allocate, [UDP_TRANSPORT]);
    client.send(bytes);
    client.send(bytes);
    expect(lab.outputs.filter(({ type }) => type === "bind")).toHaveLength(1);
    expect(lab.drops()).toEqual(["retransmission"]);
  });

  it("refuses a second allocation on the 5-tuple with 437", () => {
    const lab = new Lab();
    const client = lab.client();
    const { port } = relayedOf(allocate(client));
    expect(allocate(client).outcome).toBe(437);
    expect([...lab.server.list()].map(({ relays }) => relays[0]?.relayed.port)).toEqual([port]);
  });

  it("refuses another transaction with 437 while the first one's socket is being opened", () => {
    const client = new Lab({ bind: () => undefined }).client();
    allocate(client);
    expect(allocate(client).outcome).toBe(437);
  });

  it("makes a new one after the old one is gone", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    refresh(client, 0);
    expect(allocate(client).outcome).toBe("success");
  });

  it.each([
    ["nothing", [], 600],
    ["less than the default", [60], 600],
    ["zero", [0], 600],
    ["something between", [1800], 1800],
    ["more than the maximum", [86400], 3600],
    ["the largest number", [0xffffffff], 3600],
  ])("grants a lifetime for %s", (_, lifetime, granted) => {
    const reply = allocate(
      new Lab().client(),
      lifetime.map((seconds) => attribute(Attr.Lifetime, seconds)),
    );
    expect(reply.message?.get(Attr.Lifetime)).toBe(granted);
  });

  it("refuses a request without REQUESTED-TRANSPORT with 400", () => {
    expect(new Lab().client().request(Method.Allocate).outcome).toBe(400);
  });

  it.each([6, 0, 255])("refuses transport %i with 442", (protocol) => {
    const reply = new Lab().client().request(Method.Allocate, [attribute(Attr.RequestedTransport, protocol)]);
    expect(reply.outcome).toBe(442);
  });

  it("accepts DONT-FRAGMENT", () => {
    expect(allocate(new Lab().client(), [attribute(Attr.DontFragment, true)]).outcome).toBe("success");
  });

  it("ignores MOBILITY-TICKET, or refuses it with 405 where configured", () => {
    const ticket = attribute(Attr.MobilityTicket, new Uint8Array(0));
    expect(allocate(new Lab().client(), [ticket]).outcome).toBe("success");
    const lab = new Lab({ config: { mobility: "forbidden" } });
    expect(allocate(lab.client(), [ticket]).outcome).toBe(405);
    expect(lab.client().request(Method.Refresh, [ticket]).outcome).toBe(405);
  });

  it("keeps clients apart that differ in listener, address or port only", () => {
    const lab = new Lab();
    const clients = [
      lab.client(),
      lab.client({ port: 1001 }),
      lab.client({ ip: "8.8.1.2" }),
      lab.client({ listener: TCP }),
    ];
    expect(clients.map((client) => allocate(client).outcome)).toEqual(["success", "success", "success", "success"]);
    expect(lab.server.size).toBe(4);
  });
});

describe("address families (RFC 8656 section 7.2)", () => {
  const requested = (family: 4 | 6) => attribute(Attr.RequestedAddressFamily, family);
  const additional = (family: 4 | 6) => attribute(Attr.AdditionalAddressFamily, family);

  it("gives IPv4 unless asked, to IPv6 clients too", () => {
    expect(relayedOf(allocate(new Lab().client({ listener: UDP6 }))).ip).toBe(RELAY_IP);
  });

  it("gives IPv6", () => {
    expect(relayedOf(allocate(new Lab().client(), [requested(6)])).ip).toBe(RELAY_IP6);
  });

  it("gives both", () => {
    const lab = new Lab();
    const reply = allocate(lab.client(), [additional(6)]);
    expect(reply.message?.getAll(Attr.XorRelayedAddress).map(({ ip }) => ip)).toEqual([RELAY_IP, RELAY_IP6]);
    expect(reply.message?.has(Attr.AddressErrorCode)).toBe(false);
    expect(lab.server.size).toBe(1);
  });

  it("refuses a family that no relay address has with 440", () => {
    const v4 = new Lab({ config: { relays: [{ ip: RELAY_IP }] } });
    expect(allocate(v4.client(), [requested(6)]).outcome).toBe(440);
    const v6 = new Lab({ config: { relays: [{ ip: RELAY_IP6 }] } });
    expect(allocate(v6.client()).outcome).toBe(440);
  });

  it("gives one of both where the other is not supported, and says so", () => {
    const reply = allocate(new Lab({ config: { relays: [{ ip: RELAY_IP }] } }).client(), [additional(6)]);
    expect(reply.message?.getAll(Attr.XorRelayedAddress).map(({ ip }) => ip)).toEqual([RELAY_IP]);
    expect(reply.message?.get(Attr.AddressErrorCode)).toMatchObject({ family: 6, code: 440 });
  });

  it("gives one of both where the other has no port left, and says so", () => {
    const lab = new Lab({
      bind: ({ local }) => (local.ip === RELAY_IP ? { ok: false, reason: "unavailable" } : { ok: true }),
    });
    const reply = allocate(lab.client(), [additional(6)]);
    expect(relayedOf(reply).ip).toBe(RELAY_IP6);
    expect(reply.message?.get(Attr.AddressErrorCode)).toMatchObject({ family: 4, code: 508 });
  });

  it("refuses with 508 where neither can be opened", () => {
    const lab = new Lab({ bind: () => ({ ok: false, reason: "no-descriptors" }) });
    expect(allocate(lab.client(), [additional(6)]).outcome).toBe(508);
    expect(lab.server.size).toBe(0);
  });

  it.each([
    ["both attributes", [requested(4), additional(6)]],
    ["an additional IPv4 address", [additional(4)]],
    ["an additional address and a pair of ports", [additional(6), attribute(Attr.EvenPort, { reserveNext: true })]],
  ])("refuses %s with 400", (_, attributes) => {
    expect(allocate(new Lab().client(), attributes).outcome).toBe(400);
  });
});
