import { randomBytes } from "node:crypto";
import { ListenError, MESH_REPLY_MS } from "@culvert/dataplane";
import { encodeMessage, MessageClass, Method } from "@culvert/stun";
import { describe, expect, test } from "vitest";
import { clientFrame, Member, Rogue, SECRET } from "./mesh-world.ts";
import { binding, channelData, dataIndication, paddedChannelData, send } from "./messages.ts";
import { type CreateHarness, LIFETIME, LOOPBACK, POLLING, tuple, World } from "./world.ts";

const CHANNEL = 0x4001;
const OWNER = 1;
const EDGE = 2;
const IP = LOOPBACK[4];

const refresh = (): Buffer =>
  Buffer.from(encodeMessage({ method: Method.Refresh, class: MessageClass.Request, transactionId: randomBytes(12) }));

/** What members of a mesh do for each other. `createEdge` makes the relay that clients send to, `create` the one that owns them. */
export function meshForwarding(create: CreateHarness, createEdge: CreateHarness): void {
  /** A client that sends to one relay and belongs to another. */
  async function given({ ip = IP, transport = "udp" as "udp" | "tcp" } = {}) {
    const local = { ip, port: 0 };
    const [owner, edge] = [new Member(create), new Member(createEdge)];
    const home = await owner.listen({ local, transport });
    const front = await edge.listen({ local, transport });
    await owner.join([home], { local });
    await edge.join([front], { local });
    owner.register(EDGE, edge);
    edge.register(OWNER, owner);
    const [client, peer] = [await owner.udp(ip), await owner.udp(ip)];
    /** The client as the owner and as the edge know it. */
    const [atHome, atFront] = [tuple(home, client), tuple(front, client)];
    return { owner, edge, home, front, client, peer, atHome, atFront };
  }

  async function givenAllocation(options: Parameters<typeof given>[0] = {}) {
    const all = await given(options);
    const relay = await all.owner.allocation(all.atHome, { ip: options.ip ?? IP });
    all.owner.permit(relay.id, options.ip ?? IP);
    all.owner.channel(relay.id, CHANNEL, all.peer.address);
    all.edge.foreign(all.atFront, OWNER);
    return { ...all, relay };
  }

  describe("a client whose packets land on another relay", () => {
    test.each([LOOPBACK[4], LOOPBACK[6]])("exchanges data with its peer, on %s", async (ip) => {
      const { owner, edge, front, client, peer, relay } = await givenAllocation({ ip });
      await client.send(front.local, channelData(CHANNEL, "hello"));
      expect(await peer.next()).toEqual({ data: Buffer.from("hello"), from: relay.address });
      await peer.send(relay.address, "back");
      expect(await client.next()).toEqual({ data: Buffer.from(channelData(CHANNEL, "back")), from: front.local });
      expect(owner.plane.relayCounters(relay.id)).toMatchObject({ packetsToPeers: 1, packetsToClient: 1 });
      const { mesh, ...rest } = edge.plane.counters();
      expect(mesh).toMatchObject({ packetsSent: 1, packetsReceived: 1, peers: 1, foreignClients: 1 });
      expect(rest).toMatchObject({ packetsToPeers: 0, packetsToClients: 0, slowPath: 0 });
      expect(owner.plane.counters().mesh.bytesSent).toBe(mesh.bytesReceived);
      expect(owner.plane.counters().mesh.bytesReceived).toBe(mesh.bytesSent);
    });

    test("exchanges data in indications", async () => {
      const { owner, front, client, peer } = await givenAllocation();
      const other = await owner.udp();
      await client.send(front.local, send(other.address, "hello"));
      const { from } = await other.next();
      await other.send(from, "back");
      expect(dataIndication((await client.next()).data)).toEqual({ peer: other.address, data: "back" });
      await peer.expectSilence();
    });

    test.each([0, 1, 1200, 1472, 9000, 60_000])("exchanges payloads of %i bytes unchanged", async (length) => {
      const { front, client, peer, relay } = await givenAllocation();
      const data = Buffer.from(Array.from({ length }, (_, i) => (i * 31) & 0xff));
      await client.send(front.local, channelData(CHANNEL, data));
      expect((await peer.next()).data.equals(data)).toBe(true);
      await peer.send(relay.address, data);
      expect((await client.next()).data.subarray(4).equals(data)).toBe(true);
    });

    test("loses nothing of a burst and keeps its order, both ways", async () => {
      const { front, client, peer, relay } = await givenAllocation();
      const payloads = Array.from({ length: 300 }, (_, i) => `packet ${i} ${"x".repeat(i)}`);
      await Promise.all(payloads.map((payload) => client.send(front.local, channelData(CHANNEL, payload))));
      expect((await peer.inbox.take(300)).map(({ data }) => data.toString())).toEqual(payloads);
      await Promise.all(payloads.map((payload) => peer.send(relay.address, payload)));
      expect((await client.inbox.take(300)).map(({ data }) => data.subarray(4).toString())).toEqual(payloads);
    });

    test("has its requests handed up where it belongs, and gets the answers from where it sent them", async () => {
      const { owner, edge, home, front, client } = await givenAllocation();
      const request = refresh();
      await client.send(front.local, request);
      expect(await owner.event("client-input")).toEqual({
        type: "client-input",
        client: tuple(home, client),
        bytes: request,
        via: EDGE,
      });
      owner.apply({ type: "send", to: "client", client: tuple(home, client), bytes: Buffer.from("answer") });
      expect(await client.next()).toEqual({ data: Buffer.from("answer"), from: front.local });
      expect(edge.plane.counters().slowPath).toBe(0);
    });

    test("still asks the relay that it reaches for its address", async () => {
      const { edge, owner, front, client } = await givenAllocation();
      const request = binding();
      await client.send(front.local, request);
      expect(await edge.event("client-input")).toEqual({
        type: "client-input",
        client: tuple(front, client),
        bytes: request,
      });
      expect(owner.plane.counters().mesh.packetsReceived).toBe(0);
    });

    test("is answered directly once it is heard directly, and by the mesh once it comes by it again", async () => {
      const { home, front, client, peer, relay } = await givenAllocation();
      for (const listener of [front, home, front, home]) {
        await client.send(listener.local, channelData(CHANNEL, "ping"));
        await peer.next();
        await peer.send(relay.address, "pong");
        expect((await client.next()).from).toEqual(listener.local);
      }
    });

    test("keeps its way when an allocation of the other family joins, and when one is refreshed", async () => {
      const { owner, front, client, peer, relay, atHome } = await givenAllocation();
      await client.send(front.local, channelData(CHANNEL, "ping"));
      await peer.next();
      owner.allocate(relay.id, atHome);
      const six = await owner.allocation(atHome, { ip: LOOPBACK[6] });
      owner.permit(six.id, LOOPBACK[6]);
      const peer6 = await owner.udp(LOOPBACK[6]);
      await peer6.send(six.address, "by IPv6");
      const { data, from } = await client.next();
      expect(dataIndication(data)?.data).toBe("by IPv6");
      expect(from).toEqual(front.local);
    });

    test("that is given an allocation after its request came over the mesh is reached by the mesh", async () => {
      const { owner, front, client, peer, atHome, atFront, edge } = await given();
      edge.apply({ type: "forward", peer: OWNER, client: atFront, bytes: refresh() });
      expect((await owner.event("client-input")).via).toBe(EDGE);
      const relay = await owner.allocation(atHome);
      owner.permit(relay.id, IP);
      await peer.send(relay.address, "hello");
      expect((await client.next()).from).toEqual(front.local);
    });

    test("takes an allocation along from one address to another, from here to behind another relay and back", async () => {
      const { owner, edge, home, front, peer, client: roaming, atHome, atFront } = await given();
      const before = await owner.udp();
      const relay = await owner.allocation(tuple(home, before));
      owner.permit(relay.id, IP);
      await peer.send(relay.address, "before");
      expect((await before.next()).from).toEqual(home.local);
      edge.apply({ type: "forward", peer: OWNER, client: atFront, bytes: refresh() });
      await owner.event("client-input");
      owner.allocate(relay.id, atHome);
      await peer.send(relay.address, "there");
      expect((await roaming.next()).from).toEqual(front.local);
      owner.allocate(relay.id, tuple(home, before));
      await peer.send(relay.address, "and back");
      expect((await before.next()).from).toEqual(home.local);
      await roaming.expectSilence();
    });

    test("is dropped, not forwarded, when it sends what is malformed", async () => {
      const { edge, front, client } = await givenAllocation();
      await client.send(front.local, Buffer.from("GET / HTTP/1.1\r\n\r\n"));
      await client.send(front.local, Buffer.of(0x40, 1, 0xff, 0xff));
      await edge.expectDropped({ malformed: 2 });
      expect(edge.plane.counters().mesh.packetsSent).toBe(0);
    });

    test("obeys the owner's table and the lease of its relay", async () => {
      const { owner, front, client, relay, peer } = await givenAllocation();
      const stranger = { ip: "192.0.2.1", port: 9 };
      await client.send(front.local, send(stranger, "canary"));
      await owner.expectDropped({ "no-permission": 1 });
      await owner.bind(relay.id, relay.address, { lease: 9 });
      await client.send(front.local, channelData(CHANNEL, "canary"));
      await owner.expectDropped({ "no-permission": 1, fenced: 1 });
      await peer.expectSilence();
    });

    test("is forwarded from a stream too, and answered on it", async () => {
      const { owner, edge, home, front, peer } = await given({ transport: "tcp" });
      const stream = await edge.connect(front);
      const atHome = tuple(home, stream);
      const relay = await owner.allocation(atHome);
      owner.permit(relay.id, IP);
      owner.channel(relay.id, CHANNEL, peer.address);
      edge.foreign(tuple(front, stream), OWNER);
      await stream.write(paddedChannelData(CHANNEL, "hello"));
      expect((await peer.next()).data.toString()).toBe("hello");
      await peer.send(relay.address, "back");
      expect(await stream.next()).toEqual(Buffer.from(channelData(CHANNEL, "back")));
      const request = refresh();
      await stream.write(request);
      expect(await owner.event("client-input")).toMatchObject({ client: atHome, via: EDGE });
      owner.apply({ type: "send", to: "client", client: atHome, bytes: request });
      expect(await stream.next()).toEqual(request);
    });
  });

  describe("entries of foreign clients", () => {
    test("end at their deadline: messages go up again, and the owner may go on answering for an hour", async () => {
      const { owner, edge, front, client, peer, relay, atFront } = await givenAllocation();
      const hour = owner.deadline + 2 * MESH_REPLY_MS;
      owner.allocate(relay.id, tuple({ id: 1, local: front.local }, client), { deadline: hour });
      owner.permit(relay.id, IP, { deadline: hour });
      owner.channel(relay.id, CHANNEL, peer.address, { deadline: hour });
      edge.foreign(atFront, OWNER, edge.harness.now() + 1000);
      await client.send(front.local, channelData(CHANNEL, "hello"));
      await peer.next();
      await edge.harness.advance(1000);
      await client.send(front.local, channelData(CHANNEL, "later"));
      expect((await edge.event("client-input")).client).toEqual(atFront);

      await edge.harness.advance(MESH_REPLY_MS - 1);
      await peer.send(relay.address, "just in time");
      expect((await client.next()).data).toEqual(Buffer.from(channelData(CHANNEL, "just in time")));
      await edge.harness.advance(1);
      await peer.send(relay.address, "too late");
      await edge.expectDropped({ "mesh-refused": 1 });
      await client.expectSilence();
    });

    test("can be revoked: the former owner may not answer any more", async () => {
      const { edge, front, client, peer, relay, atFront } = await givenAllocation();
      await client.send(front.local, channelData(CHANNEL, "hello"));
      await peer.next();
      edge.apply({ type: "revoke", key: { kind: "foreign", client: atFront } });
      expect(edge.plane.counters().mesh.foreignClients).toBe(0);
      await peer.send(relay.address, "from the former owner");
      await edge.expectDropped({ "mesh-refused": 1 });
      await client.send(front.local, channelData(CHANNEL, "anybody?"));
      expect((await edge.event("client-input")).client).toEqual(atFront);
      await client.expectSilence();
    });

    test("pass to another owner", async () => {
      const { edge, front, client, peer, atFront, owner } = await givenAllocation();
      const other = await Rogue.join(edge, 7);
      edge.foreign(atFront, 7);
      await client.send(front.local, channelData(CHANNEL, "hello"));
      await other.endpoint.next();
      await peer.expectSilence();
      expect(owner.plane.counters().mesh.packetsReceived).toBe(0);
    });

    test("come after what the client owns here", async () => {
      const { edge, front, client, peer, atFront } = await givenAllocation();
      const relay = await edge.allocation(atFront);
      edge.permit(relay.id, IP);
      await client.send(front.local, send(peer.address, "by the own one"));
      expect((await peer.next()).from).toEqual(relay.address);
      await client.send(front.local, refresh());
      expect((await edge.event("client-input")).client).toEqual(atFront);
    });

    test("for a relay that is not registered, or not any more, are void", async () => {
      const { edge, front, client, atFront } = await givenAllocation();
      edge.apply({ type: "mesh-peer-gone", peer: OWNER });
      await client.send(front.local, channelData(CHANNEL, "hello"));
      expect((await edge.event("client-input")).client).toEqual(atFront);
      edge.foreign(atFront, 99);
      await client.send(front.local, channelData(CHANNEL, "hello"));
      expect((await edge.event("client-input")).client).toEqual(atFront);
      edge.apply({ type: "forward", peer: 99, client: atFront, bytes: refresh() });
      edge.apply({ type: "mesh-send", peer: 99, bytes: refresh() });
      await edge.expectDropped({ "mesh-unknown": 2 });
    });
  });

  describe("a message that waited for the look-up", () => {
    test("is forwarded, and the owner may answer the client", async () => {
      const { owner, edge, front, client, atHome, atFront } = await given();
      const request = refresh();
      await client.send(front.local, request);
      const { bytes } = await edge.event("client-input");
      edge.apply({ type: "forward", peer: OWNER, client: atFront, bytes });
      expect(await owner.event("client-input")).toEqual({
        type: "client-input",
        client: atHome,
        bytes: request,
        via: EDGE,
      });
      owner.apply({ type: "send", to: "client", client: atHome, bytes: Buffer.from("answer") });
      expect(await client.next()).toEqual({ data: Buffer.from("answer"), from: front.local });
      await client.send(front.local, request);
      await edge.event("client-input");
    });

    test("is refused when the client itself is heard over the mesh", async () => {
      const { owner, edge, atHome, atFront } = await given();
      edge.apply({ type: "forward", peer: OWNER, client: atFront, bytes: refresh() });
      const { bytes } = await owner.event("client-input");
      owner.apply({ type: "forward", peer: EDGE, client: atHome, bytes });
      await owner.expectDropped({ "mesh-refused": 1 });
      expect(edge.plane.counters().mesh.packetsReceived).toBe(0);
    });
  });

  describe("nothing goes round in circles", () => {
    test("when two relays each take the other for the owner", async () => {
      const { owner, edge, front, client, atHome, atFront } = await given();
      edge.foreign(atFront, OWNER);
      owner.foreign(atHome, EDGE);
      const messages = [channelData(CHANNEL, "data"), send({ ip: "192.0.2.1", port: 9 }, "data"), refresh()];
      for (const message of messages) {
        await client.send(front.local, message);
        expect(await owner.event("client-input")).toMatchObject({ via: EDGE, bytes: Buffer.from(message) });
      }
      expect(owner.plane.counters().mesh).toMatchObject({ packetsReceived: 3, packetsSent: 0 });
      await client.expectSilence();
    });

    test("a client that nobody knows comes up with what it sends, Send indications too", async () => {
      const { edge, front, client, atFront } = await given();
      const indication = Buffer.from(send({ ip: "192.0.2.1", port: 9 }, "data"));
      await client.send(front.local, indication);
      expect(await edge.event("client-input")).toEqual({ type: "client-input", client: atFront, bytes: indication });
      await edge.expectDropped({});
    });
  });

  describe("control messages", () => {
    test("reach the other control loop, both ways", async () => {
      const { owner, edge } = await given();
      owner.apply({ type: "mesh-send", peer: EDGE, bytes: Buffer.from("ping") });
      expect(await edge.event("mesh-control")).toEqual({
        type: "mesh-control",
        peer: OWNER,
        bytes: Buffer.from("ping"),
      });
      edge.apply({ type: "mesh-send", peer: OWNER, bytes: Buffer.alloc(60_000, "x") });
      expect((await owner.event("mesh-control")).bytes).toHaveLength(60_000);
    });

    test("of more than a datagram holds are dropped", async () => {
      const { owner } = await given();
      owner.apply({ type: "mesh-send", peer: EDGE, bytes: Buffer.alloc(65_001) });
      await owner.expectDropped({ malformed: 1 });
    });
  });

  describe("members", () => {
    test("that move are sent to where they are", async () => {
      const { owner, edge } = await given();
      const moved = await edge.udp();
      owner.register(EDGE, { instance: edge.instance, mesh: moved.address });
      owner.apply({ type: "mesh-send", peer: EDGE, bytes: Buffer.from("hello") });
      await moved.next();
      expect(owner.plane.counters().mesh.peers).toBe(1);
    });

    test("that start again have another instance; the old one is not heard once it is gone", async () => {
      const { owner, edge } = await given();
      owner.register(EDGE, { instance: randomBytes(16).toString("hex"), mesh: edge.mesh });
      edge.apply({ type: "mesh-send", peer: OWNER, bytes: Buffer.from("from the old one") });
      await owner.expectDropped({ "mesh-unknown": 1 });
      owner.apply({ type: "mesh-send", peer: EDGE, bytes: Buffer.from("for the new one") });
      await edge.expectDropped({ "mesh-auth": 1 });
    });

    test("change their secrets one after the other and understand each other all the time", async () => {
      const { owner, edge } = await given();
      const next = Buffer.alloc(32, "the secret after it ");
      const stages: [World, readonly Uint8Array[]][] = [
        [owner, [SECRET, next]],
        [edge, [SECRET, next]],
        [owner, [next, SECRET]],
        [edge, [next, SECRET]],
        [owner, [next]],
        [edge, [next]],
      ];
      for (const [member, secrets] of stages) {
        member.plane.setMeshSecrets(secrets);
        owner.apply({ type: "mesh-send", peer: EDGE, bytes: Buffer.from("ping") });
        edge.apply({ type: "mesh-send", peer: OWNER, bytes: Buffer.from("pong") });
        await edge.event("mesh-control");
        await owner.event("mesh-control");
      }
    });

    test("answer clients directly when the relay that these came by is gone", async () => {
      const { owner, home, front, client, peer, relay } = await givenAllocation();
      await client.send(front.local, channelData(CHANNEL, "hello"));
      await peer.next();
      owner.apply({ type: "mesh-peer-gone", peer: EDGE });
      await peer.send(relay.address, "back");
      expect((await client.next()).from).toEqual(home.local);
    });
  });

  describe("opening a mesh", () => {
    const wrong: [string, object, RegExp][] = [
      ["a wildcard address", { local: { ip: "0.0.0.0", port: 0 } }, /not a wildcard/],
      [
        "an address that is not here",
        { local: { ip: "192.0.2.1", port: 0 } },
        /^mesh 192.0.2.1:0: .*not one of this host/,
      ],
      ["no address", { local: { ip: "here", port: 0 } }, /not an IP address/],
      ["an instance that is none", { instance: "relay-0" }, /32 hexadecimal digits/],
      ["no secret", { secrets: [] }, /one is needed/],
      ["a short secret", { secrets: [Buffer.alloc(31)] }, /32 bytes/],
      ["a listener that is not there", { frontends: new Map([[99, "vip"]]) }, /listener 99 is not open/],
      ["a shared IP that is none", { sharedIps: ["vip"] }, /shared IP "vip": not an IP address/],
    ];

    test.each(wrong)("with %s fails in one line", async (_, spec, message) => {
      const member = new Member(create);
      const opening = member.join([await member.listen()], spec);
      await expect(opening).rejects.toThrow(message);
      await expect(opening).rejects.toThrow(ListenError);
      await member.join([]);
    });

    test("with one frontend for two listeners alike fails, and for two of which one is for streams does not", async () => {
      const member = new Member(create);
      const [one, other] = [await member.listen(), await member.listen()];
      await expect(member.join([one, other])).rejects.toThrow(/frontend "vip": two listeners/);
      await member.join([one, await member.listen({ transport: "tcp" })]);
    });

    test("does not keep later listeners from taking part, each with a frontend of its own", async () => {
      const { owner, edge } = await given();
      const late = { local: { ip: IP, port: 0 }, frontend: "late" };
      const [home, front] = [await owner.listen(late), await edge.listen(late)];
      await expect(edge.listen(late)).rejects.toThrow(/another listener has frontend "late"/);
      await edge.listen({ ...late, transport: "tcp" });
      const client = await edge.udp();
      edge.foreign(tuple(front, client), OWNER);
      const request = refresh();
      await client.send(front.local, request);
      expect(await owner.event("client-input")).toEqual({
        type: "client-input",
        client: tuple(home, client),
        bytes: request,
        via: EDGE,
      });
      owner.apply({ type: "send", to: "client", client: tuple(home, client), bytes: request });
      expect((await client.next()).from).toEqual(front.local);
    });

    test("twice fails, and so do secrets for one that is not open", async () => {
      const member = new Member(create);
      expect(() => member.plane.setMeshSecrets([SECRET])).toThrow(/no mesh is open/);
      await member.join([]);
      await expect(member.join([])).rejects.toThrow(/open already/);
    });

    test("that is closed frees the port", async () => {
      const member = await Member.open(create, []);
      await member.plane.close();
      const after = new Member(create);
      await after.join([], { local: member.mesh });
      expect(after.mesh).toEqual(member.mesh);
    });
  });

  test("what is commanded before a mesh is open does nothing", async () => {
    const world = new World(create);
    const listener = await world.listen();
    const client = tuple(listener, await world.udp());
    world.apply(
      { type: "mesh-peer", peer: 1, instance: randomBytes(16).toString("hex"), address: listener.local },
      { type: "upsert", entry: { kind: "foreign", client, peer: 1, deadline: world.deadline + LIFETIME } },
      { type: "forward", peer: 1, client, bytes: refresh() },
      { type: "mesh-send", peer: 1, bytes: refresh() },
      { type: "revoke", key: { kind: "foreign", client } },
      { type: "mesh-peer-gone", peer: 1 },
    );
    await world.expectDropped({});
    expect(world.plane.counters().mesh).toMatchObject({ peers: 0, foreignClients: 0, packetsSent: 0 });
  });

  test("the table of foreign clients is bounded: the oldest go first", async () => {
    const member = new Member(createEdge);
    const listener = await member.listen();
    await member.join([listener], { maxForeignClients: 100 });
    const rogue = await Rogue.join(member, OWNER);
    const client = await member.udp();
    member.foreign(tuple(listener, client), OWNER);
    for (let port = 1; port <= 100; port++) {
      member.foreign({ listener: listener.id, remote: { ip: "192.0.2.1", port } }, OWNER);
    }
    expect(member.plane.counters().mesh.foreignClients).toBe(100);
    await client.send(listener.local, channelData(CHANNEL, "hello"));
    await member.event("client-input");
    await rogue.endpoint.expectSilence();
  });

  test("the ways to clients that own nothing are bounded too, and the answer to the oldest goes nowhere else", async () => {
    const member = new Member(create);
    const listener = await member.listen();
    await member.join([listener], { maxPaths: 10 });
    const rogue = await Rogue.join(member, EDGE);
    const clients = Array.from({ length: 11 }, (_, i) => ({ ip: "192.0.2.1", port: 1000 + i }));
    for (const client of clients) {
      await rogue.send(member, rogue.seal(member, clientFrame("client-packet", { client, bytes: refresh() })));
      await member.event("client-input");
    }
    for (const remote of clients.slice(1)) {
      member.apply({ type: "send", to: "client", client: { listener: listener.id, remote }, bytes: refresh() });
    }
    await rogue.endpoint.inbox.take(10);
    await expect.poll(() => member.plane.counters().mesh.packetsSent, POLLING).toBe(10);
  });
}
