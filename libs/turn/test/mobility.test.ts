import { Attr, attribute, type EncodedAttribute, encodeChannelData, Method } from "@culvert/stun";
import { nodeCrypto } from "@culvert/testkit";
import { type Output, readTicket } from "@culvert/turn";
import { describe, expect, it } from "vitest";
import { known, Lab, type LabClient, PEER, TCP, UDP6 } from "./support/lab.ts";
import {
  allocate,
  channelBind,
  createPermission,
  ENC,
  refresh,
  relayedOf,
  sendAttributes,
  ticketOf,
} from "./support/requests.ts";

const NO_TICKET = attribute(Attr.MobilityTicket, new Uint8Array(0));
const mobile = (config = {}) => new Lab({ config: { mobility: "allowed", changes: true, ...config } });
const withTicket = (ticket: Uint8Array): EncodedAttribute => attribute(Attr.MobilityTicket, ticket);

/** A client with an allocation, a channel and a ticket. */
function start(lab: Lab, client: LabClient = lab.client()): { client: LabClient; ticket: Uint8Array } {
  const reply = allocate(client, [NO_TICKET]);
  channelBind(client, 0x4000, PEER);
  return { client, ticket: ticketOf(reply) };
}

const move = (client: LabClient, ticket: Uint8Array, lifetime?: number) =>
  refresh(client, lifetime, [withTicket(ticket)]);

/** The first data from a new 5-tuple. */
const arrive = (client: LabClient): void => void client.send(encodeChannelData(0x4000, ENC.encode("x")));

/** The clients that the relay's data goes to, by the last entry of the data plane's table. */
const published = (outputs: readonly Output[]) =>
  outputs.flatMap((output) =>
    output.type === "upsert" && output.entry.kind === "allocation" ? [output.entry.client] : [],
  );

describe("an Allocate with MOBILITY-TICKET", () => {
  it("of no length gets a ticket that says nothing to anybody else", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    const [{ record = "" } = {}] = lab.events("allocation-created");
    expect(ticket.length).toBeLessThan(200);
    expect(String.fromCharCode(...ticket)).not.toContain(record);
    expect(ticketOf(allocate(lab.client({ port: 2 }), [NO_TICKET]))).not.toEqual(ticket);
  });

  it("of some length is refused with 400", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    expect(allocate(lab.client({ port: 2 }), [withTicket(ticket)]).outcome).toBe(400);
  });

  it("gets none where mobility is off, and nobody gets one that did not ask", () => {
    expect(allocate(new Lab().client(), [NO_TICKET]).message?.has(Attr.MobilityTicket)).toBe(false);
    expect(allocate(mobile().client()).message?.has(Attr.MobilityTicket)).toBe(false);
  });

  it("is refused with 405 where mobility is forbidden, and a Refresh with it, too", () => {
    const lab = new Lab({ config: { mobility: "forbidden" } });
    expect(allocate(lab.client(), [NO_TICKET]).outcome).toBe(405);
    allocate(lab.client());
    expect(move(lab.client(), new Uint8Array(60)).outcome).toBe(405);
    expect(lab.server.size).toBe(1);
  });

  it("that comes again gets the same ticket again", () => {
    const lab = mobile();
    const client = lab.client();
    const transactionId = lab.random.bytes(12);
    const first = ticketOf(allocate(client, [NO_TICKET], { transactionId }));
    expect(ticketOf(allocate(client, [NO_TICKET], { transactionId }))).toEqual(first);
  });
});

describe("a Refresh with a ticket from a new 5-tuple", () => {
  it("is not changed by being read: what is not for this server goes to another one", () => {
    const lab = mobile({ ticketKeys: [ENC.encode("the key of a fleet")] });
    const { ticket } = start(lab);
    // `slice` of a Buffer copies nothing.
    const bytes = Buffer.from(ticket);
    for (let time = 0; time < 2; time++) {
      const read = readTicket(bytes, [ENC.encode("the key of a fleet")], nodeCrypto, lab.now);
      expect(read).toMatchObject({ record: expect.stringMatching(/^[\w-]{16}$/), generation: 0 });
    }
    expect(Uint8Array.from(bytes)).toEqual(Uint8Array.from(ticket));
  });

  it("is answered there with a new ticket, and gives the allocation more time", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    lab.advance(500_000);
    const moved = lab.client({ ip: "8.8.2.2", port: 4000 });
    const reply = move(moved, ticket, 1800);
    expect(reply.outcome).toBe("success");
    expect(reply.message?.get(Attr.Lifetime)).toBe(1800);
    expect(ticketOf(reply)).not.toEqual(ticket);
    lab.advance(600_000);
    expect(lab.server.size).toBe(1);
  });

  it("leaves the data at the old one until the client sends from the new one", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    const moved = lab.client({ port: 2000 });
    lab.take();
    move(moved, ticket);
    // The data plane's table still has the old client: nothing goes where nobody has proved to be.
    expect(published(lab.take())).toEqual([client.tuple]);
    expect(client.sendChannelData(0x4000, ENC.encode("old"))).toMatchObject([{ to: "peer", bytes: ENC.encode("old") }]);
    lab.server.handlePeerInput(1, PEER, ENC.encode("answer"), lab.now);
    expect(lab.take()).toMatchObject([{ to: "client", client: client.tuple }]);

    const outputs = moved.sendChannelData(0x4000, ENC.encode("new"));
    expect(published(outputs)).toEqual([moved.tuple]);
    expect(outputs.at(-1)).toMatchObject({ to: "peer", bytes: ENC.encode("new") });
    lab.server.handlePeerInput(1, PEER, ENC.encode("answer"), lab.now);
    expect(lab.take()).toMatchObject([{ to: "client", client: moved.tuple }]);
  });

  it("ends the old one with the first data from the new one", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    const moved = lab.client({ port: 2000 });
    move(moved, ticket);
    moved.indicate(Method.Send, sendAttributes(PEER, ENC.encode("hello")));
    expect(lab.server.owns(client.tuple)).toBe(false);
    expect(lab.server.owns(moved.tuple)).toBe(true);
    client.sendChannelData(0x4000, ENC.encode("late"));
    expect(lab.server.size).toBe(1);
    expect(refresh(client).outcome).toBe(437);
    // The old 5-tuple is anybody's.
    expect(allocate(lab.client({ user: "bob" })).outcome).toBe("success");
  });

  it.each([
    [
      "a Send indication",
      (at: LabClient) => void at.send(at.session.indication(Method.Send, sendAttributes(PEER, ENC.encode("x")))),
    ],
    ["ChannelData", arrive],
    ["ChannelData on no channel", (at: LabClient) => void at.send(encodeChannelData(0x4001, ENC.encode("x")))],
    ["CreatePermission", (at: LabClient) => void createPermission(at, "9.9.9.10")],
    ["ChannelBind", (at: LabClient) => void channelBind(at, 0x4002, { ip: "9.9.9.10", port: 1 })],
    ["a Refresh without a ticket", (at: LabClient) => void refresh(at)],
  ])("is followed by %s from there: the client has moved", (_, send) => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    const moved = lab.client({ port: 2000 });
    move(moved, ticket);
    expect(lab.events("allocation-moved")).toEqual([]);
    send(moved);
    expect(lab.events("allocation-moved")).toMatchObject([{ from: client.tuple, client: moved.tuple, user: "alice" }]);
    expect(lab.server.snapshot(1)?.client).toEqual(moved.tuple);
  });

  it("is followed by another user's request from there: nothing moves", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    move(lab.client({ port: 2000 }), ticket);
    expect(refresh(lab.client({ port: 2000, user: "bob" })).outcome).toBe(441);
    expect(lab.events("allocation-moved")).toEqual([]);
    expect(lab.server.snapshot(1)?.client).toEqual(client.tuple);
  });

  it("keeps permissions, channels, relayed ports and the quota", () => {
    const lab = mobile({ limits: { allocationsPerUser: 1 } });
    const client = lab.client();
    const reply = allocate(client, [NO_TICKET, attribute(Attr.AdditionalAddressFamily, 6)]);
    createPermission(client, PEER.ip, "2600::9");
    channelBind(client, 0x4000, PEER);
    const before = lab.server.snapshot(1);
    const moved = lab.client({ port: 2000 });
    move(moved, ticketOf(reply));
    arrive(moved);
    const after = lab.server.snapshot(1);
    expect(after).toEqual({ ...before, client: moved.tuple, ticket: 1 });
    expect(allocate(lab.client({ port: 3000 })).outcome).toBe(486);
    refresh(moved, 0);
    expect(allocate(lab.client({ port: 3000 })).outcome).toBe("success");
  });

  it("may come over another transport and address family", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    const tcp = lab.client({ listener: TCP });
    const second = ticketOf(move(tcp, ticket));
    arrive(tcp);
    lab.server.handlePeerInput(1, PEER, ENC.encode("abc"), lab.now);
    // Padded, as on a stream.
    expect(tcp.received(lab.take()).at(-1)?.length).toBe(8);
    const v6 = lab.client({ listener: UDP6 });
    expect(move(v6, second).outcome).toBe("success");
    arrive(v6);
    expect(lab.outputs).toContainEqual({ type: "close", client: tcp.tuple });
    lab.server.handlePeerInput(1, PEER, ENC.encode("abc"), lab.now);
    expect(v6.received(lab.take()).at(-1)?.length).toBe(7);
    // The end of the old stream concerns nobody.
    lab.server.handleClientClosed(tcp.tuple, lab.now);
    expect(lab.server.size).toBe(1);
  });

  it("ends the allocation with LIFETIME 0", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    const reply = move(lab.client({ port: 2000 }), ticket, 0);
    expect(reply.outcome).toBe("success");
    expect(reply.message?.has(Attr.MobilityTicket)).toBe(false);
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("is a change, and so is the arrival", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    const changes = () => lab.outputs.filter(({ type }) => type === "changed").length;
    lab.server.snapshot(1);
    lab.outputs = [];
    const moved = lab.client({ port: 2000 });
    move(moved, ticket);
    expect(changes()).toBe(1);
    expect(lab.server.snapshot(1)).toMatchObject({ ticket: 1, movingTo: moved.tuple });
    arrive(moved);
    expect(changes()).toBe(2);
  });
});

describe("the response to a Refresh that moves", () => {
  it("is the same for a retransmission, before and after the client has arrived", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    const moved = lab.client({ port: 2000 });
    moved.challenge(Method.Refresh);
    const bytes = moved.session.request(Method.Refresh, [withTicket(ticket)]);
    const first = ticketOf(moved.replyTo(bytes.slice()));
    expect(ticketOf(moved.replyTo(bytes.slice()))).toEqual(first);
    arrive(moved);
    expect(ticketOf(moved.replyTo(bytes.slice()))).toEqual(first);
    expect(lab.events("allocation-refreshed")).toHaveLength(1);
    expect(move(lab.client({ port: 2001 }), first).outcome).toBe("success");
  });

  it("may be lost: the old ticket will do again, from wherever the client is now", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    move(lab.client({ port: 2000 }), ticket);
    expect(move(lab.client({ port: 2000 }), ticket).outcome).toBe("success");
    const third = lab.client({ port: 2001 });
    expect(move(third, ticket).outcome).toBe(400);
    expect(lab.server.owns(third.tuple)).toBe(false);
  });
});

describe("a ticket", () => {
  it("that was used is refused with 400, once the client has arrived", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    const moved = lab.client({ port: 2000 });
    move(moved, ticket);
    arrive(moved);
    expect(move(lab.client({ port: 2001 }), ticket).outcome).toBe(400);
    expect(lab.server.owns(moved.tuple)).toBe(true);
  });

  it("from the 5-tuple that the client is at is refused with 400", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    expect(move(client, ticket).outcome).toBe(400);
    const moved = lab.client({ port: 2000 });
    const next = ticketOf(move(moved, ticket));
    expect(move(moved, next).outcome).toBe(400);
    // Back where it was: it has not moved after all.
    expect(move(client, next).outcome).toBe("success");
    expect(lab.server.owns(moved.tuple)).toBe(false);
    expect(refresh(client).outcome).toBe("success");
  });

  it("of another user is refused with 441, and nothing changes", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    lab.take();
    expect(move(lab.client({ port: 2000, user: "bob" }), ticket).outcome).toBe(441);
    expect(published(lab.take())).toEqual([]);
    expect(lab.server.owns({ listener: 1, remote: { ip: "8.8.1.1", port: 2000 } })).toBe(false);
    expect(refresh(client).outcome).toBe("success");
    expect(move(lab.client({ port: 2000 }), ticket).outcome).toBe("success");
  });

  it.each([
    ["empty", () => new Uint8Array(0)],
    ["cut short", (ticket: Uint8Array) => ticket.slice(0, -1)],
    ["longer", (ticket: Uint8Array) => Uint8Array.of(...ticket, 0)],
    ["altered in its first byte", (ticket: Uint8Array) => ticket.map((byte, index) => (index === 0 ? byte ^ 1 : byte))],
    ["altered in its middle", (ticket: Uint8Array) => ticket.map((byte, index) => (index === 24 ? byte ^ 1 : byte))],
    ["altered in its last byte", (ticket: Uint8Array) => ticket.with(-1, (ticket.at(-1) ?? 0) ^ 0x80)],
    ["random", (ticket: Uint8Array) => ticket.map((_, index) => index * 7)],
    ["far too long", () => new Uint8Array(60_000)],
  ])("that is %s is refused with 400", (_, alter) => {
    const lab = mobile();
    const { ticket } = start(lab);
    expect(move(lab.client({ port: 2000 }), alter(ticket)).outcome).toBe(400);
    expect(lab.server.size).toBe(1);
  });

  it("is good for as long as configured", () => {
    const lab = mobile({ ticketLifetimeSeconds: 60 });
    const { ticket } = start(lab);
    lab.advance(59_999);
    const next = ticketOf(move(lab.client({ port: 2000 }), ticket));
    lab.advance(60_000);
    expect(move(lab.client({ port: 2001 }), next).outcome).toBe(400);
  });

  it("of an allocation that is over is refused with 437", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    refresh(client, 0);
    expect(move(lab.client({ port: 2000 }), ticket).outcome).toBe(437);
  });

  it("does not move an allocation onto a 5-tuple that has one", () => {
    const lab = mobile();
    const { ticket } = start(lab);
    const other = lab.client({ port: 2000 });
    allocate(other);
    expect(move(other, ticket).outcome).toBe(437);
    expect(lab.server.size).toBe(2);
  });

  it("with a family that the allocation has not is refused with 443, and nothing moves", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    const reply = refresh(lab.client({ port: 2000 }), undefined, [
      withTicket(ticket),
      attribute(Attr.RequestedAddressFamily, 6),
    ]);
    expect(reply.outcome).toBe(443);
    expect(lab.server.snapshot(1)).toMatchObject({ client: client.tuple, ticket: 0 });
  });

  it("without credentials gets 401 and no data", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    const stranger = lab.client({ port: 2000 });
    const reply = stranger.replyTo(stranger.session.bare(Method.Refresh, [withTicket(ticket)]));
    expect(reply.outcome).toBe(401);
    expect(stranger.replyTo(stranger.session.bare(Method.Refresh, [withTicket(ticket)])).outcome).toBe(401);
    lab.take();
    lab.server.handlePeerInput(1, PEER, ENC.encode("x"), lab.now);
    expect(lab.take()).toMatchObject([{ client: client.tuple }]);
  });

  it("does not lift the address that the credential is bound to", () => {
    const lab = new Lab({
      config: { mobility: "allowed" },
      resolve: () => known({ tenant: "acme", user: "alice", clientIp: "8.8.1.1" }),
    });
    const { ticket } = start(lab);
    expect(move(lab.client({ ip: "8.8.2.2" }), ticket).outcome).toBe(403);
    expect(move(lab.client({ port: 2000 }), ticket).outcome).toBe("success");
  });

  it("outlives a rotation of keys as long as its key is kept", () => {
    const [first, second, third] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte));
    if (first === undefined || second === undefined || third === undefined) throw new Error("no keys");
    const lab = mobile({ ticketKeys: [first] });
    const { ticket } = start(lab);
    lab.server.setTicketKeys([second, first]);
    const next = ticketOf(move(lab.client({ port: 2000 }), ticket));
    lab.server.setTicketKeys([third, second]);
    expect(move(lab.client({ port: 2001 }), ticket).outcome).toBe(400);
    expect(move(lab.client({ port: 2001 }), next).outcome).toBe("success");
  });
});

describe("the stream of a mobile client", () => {
  const onStream = () => {
    const lab = mobile();
    return { lab, ...start(lab, lab.client({ listener: TCP })) };
  };

  it("may end: the client has a minute to come back by another one", () => {
    const { lab, client, ticket } = onStream();
    lab.server.handleClientClosed(client.tuple, lab.now);
    lab.advance(59_999);
    const back = lab.client({ listener: TCP, port: 2000 });
    lab.take();
    expect(move(back, ticket).outcome).toBe("success");
    // There is no old place: its data goes to the new one at once.
    expect(published(lab.take()).at(-1)).toEqual(back.tuple);
    lab.advance(60_000);
    expect(lab.server.size).toBe(1);
  });

  it("may end: who does not come back loses the allocation", () => {
    const { lab, client, ticket } = onStream();
    lab.server.handleClientClosed(client.tuple, lab.now);
    expect(lab.server.owns(client.tuple)).toBe(false);
    lab.advance(60_000);
    expect(lab.events("allocation-deleted")).toMatchObject([{ reason: "client-closed" }]);
    expect(move(lab.client({ listener: TCP, port: 2000 }), ticket).outcome).toBe(437);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("may end: the allocation may end for another reason then, and leaves nothing", () => {
    const { lab, client } = onStream();
    lab.server.handleClientClosed(client.tuple, lab.now);
    lab.server.revoke({ tenant: "acme", user: "alice" }, lab.now);
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("may end while the client moves: it has moved then", () => {
    const { lab, client, ticket } = onStream();
    const moved = lab.client({ port: 2000 });
    move(moved, ticket);
    lab.server.handleClientClosed(client.tuple, lab.now);
    lab.settle();
    expect(lab.events("allocation-moved")).toHaveLength(1);
    lab.advance(120_000);
    expect(lab.server.size).toBe(1);
    expect(refresh(moved).outcome).toBe("success");
  });

  it("may be the new one, and end before anything came over it: the old one is as before", () => {
    const lab = mobile();
    const { client, ticket } = start(lab);
    const moved = lab.client({ listener: TCP, port: 2000 });
    const next = ticketOf(move(moved, ticket));
    lab.server.handleClientClosed(moved.tuple, lab.now);
    expect(refresh(client).outcome).toBe("success");
    expect(move(lab.client({ port: 2001 }), next).outcome).toBe("success");
  });

  it("ends the allocation at once where there is no ticket", () => {
    const lab = mobile();
    const client = lab.client({ listener: TCP });
    expect(relayedOf(allocate(client)).port).toBeGreaterThan(0);
    lab.server.handleClientClosed(client.tuple, lab.now);
    expect(lab.server.size).toBe(0);
  });
});
