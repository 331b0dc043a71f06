import { Attr, attribute, Method } from "@culvert/stun";
import { mustDecode } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { Lab, policy, RELAY_IP } from "./support/lab.ts";
import {
  allocate,
  channelBind,
  createPermission,
  relayedOf,
  sendAttributes,
  UDP_TRANSPORT,
} from "./support/requests.ts";

const DATA = Uint8Array.of(1, 2, 3);
const LISTENER = { ip: "198.51.100.7", port: 3478 };

const given = (options: ConstructorParameters<typeof Lab>[0] = {}) => {
  const lab = new Lab(options);
  const client = lab.client();
  const relayed = relayedOf(allocate(client));
  lab.take();
  return { lab, client, relayed };
};

describe("own relayed addresses as peers", () => {
  it("are allowed at relay ports only, whatever the policy", () => {
    const { lab, client } = given({ config: { policy: policy({ deny: [RELAY_IP] }) } });
    expect(createPermission(client, RELAY_IP).outcome).toBe("success");
    expect(lab.take()[0]).toMatchObject({ entry: { kind: "permission", ports: { min: 49152, max: 65535 } } });
    expect(channelBind(client, 0x4000, { ip: RELAY_IP, port: 49151 }).outcome).toBe(403);
    expect(channelBind(client, 0x4000, { ip: RELAY_IP, port: 49152 }).outcome).toBe("success");
    expect(client.indicate(Method.Send, sendAttributes({ ip: RELAY_IP, port: 22 }, DATA))).toEqual([]);
    expect(client.indicate(Method.Send, sendAttributes({ ip: RELAY_IP, port: 50000 }, DATA))).toHaveLength(1);
    lab.server.handlePeerInput(1, { ip: RELAY_IP, port: 22 }, DATA, lab.now);
    expect(lab.take()).toEqual([]);
  });

  it("are allowed at every port but the listeners' where a rule names them", () => {
    const lab = new Lab({
      config: {
        listeners: [{ id: 1, transport: "udp", address: { ip: RELAY_IP, port: 3478 } }],
        policy: policy({ dangerouslyAllow: [RELAY_IP] }),
      },
    });
    const client = lab.client();
    allocate(client);
    lab.take();
    createPermission(client, RELAY_IP);
    expect(lab.take()[0]).toMatchObject({ entry: { kind: "permission", ip: RELAY_IP, exceptPorts: [3478] } });
    expect(client.indicate(Method.Send, sendAttributes({ ip: RELAY_IP, port: 22 }, DATA))).toHaveLength(1);
    expect(client.indicate(Method.Send, sendAttributes({ ip: RELAY_IP, port: 3478 }, DATA))).toEqual([]);
    expect(channelBind(client, 0x4000, { ip: RELAY_IP, port: 3478 }).outcome).toBe(403);
  });

  it("are allowed at a port that a listener has for streams, since what is relayed are datagrams", () => {
    const lab = new Lab({
      config: {
        listeners: [
          { id: 1, transport: "udp", address: { ip: RELAY_IP, port: 3478 } },
          { id: 2, transport: "tcp", address: { ip: RELAY_IP, port: 40000 } },
          { id: 3, transport: "tls", address: { ip: RELAY_IP, port: 40001 } },
        ],
        policy: policy({ dangerouslyAllow: [RELAY_IP] }),
      },
    });
    const client = lab.client();
    allocate(client);
    expect(channelBind(client, 0x4000, { ip: RELAY_IP, port: 40000 }).outcome).toBe("success");
    expect(channelBind(client, 0x4001, { ip: RELAY_IP, port: 40001 }).outcome).toBe("success");
    expect(channelBind(client, 0x4002, { ip: RELAY_IP, port: 3478 }).outcome).toBe(403);
  });

  it("of other relays of the fleet are allowed at their relay ports", () => {
    const fleet = [{ range: "10.9.0.0/24", ports: { min: 50000, max: 50999 } }];
    const { client } = given({ config: { policy: policy({ fleet, deny: ["10.0.0.0/8"] }) } });
    expect(createPermission(client, "10.9.0.7").outcome).toBe("success");
    expect(createPermission(client, "10.9.1.7").outcome).toBe(403);
    expect(channelBind(client, 0x4000, { ip: "10.9.0.7", port: 50000 }).outcome).toBe("success");
    expect(channelBind(client, 0x4001, { ip: "10.9.0.7", port: 51000 }).outcome).toBe(403);
  });
});

describe("own listeners as peers", () => {
  it("are refused with 403 and dropped", () => {
    const { lab, client } = given({
      config: { listeners: [{ id: 1, transport: "udp", address: { ip: "9.9.9.1", port: 3478 } }] },
    });
    expect(createPermission(client, "9.9.9.1").outcome).toBe(403);
    expect(channelBind(client, 0x4000, { ip: "9.9.9.1", port: 3478 }).outcome).toBe(403);
    expect(lab.events("peer-denied")[0]?.rule).toBe("own listener");
  });

  it("are no peers through NAT64 either", () => {
    const { client } = given({
      config: {
        listeners: [{ id: 1, transport: "udp", address: { ip: "9.9.9.1", port: 3478 } }],
        relays: [{ ip: "9.9.9.2" }, { ip: "2600::2" }],
      },
    });
    const second = client.lab.client({ port: 5 });
    second.request(Method.Allocate, []);
    for (const ip of ["64:ff9b::909:901", "64:ff9b::909:902"]) {
      expect(client.lab.server.size).toBe(1);
      expect(createPermission(client, ip).outcome).toBe(443);
    }
  });

  it("on every address are no peers at their port", () => {
    const { client } = given({
      config: {
        listeners: [{ id: 1, transport: "udp", address: { ip: "0.0.0.0", port: 50000 } }],
        policy: policy({ dangerouslyAllow: [RELAY_IP] }),
      },
    });
    expect(channelBind(client, 0x4000, { ip: RELAY_IP, port: 50000 }).outcome).toBe(403);
    expect(channelBind(client, 0x4000, { ip: RELAY_IP, port: 50001 }).outcome).toBe("success");
  });
});

describe("a listener on every address", () => {
  const open = policy({
    dangerouslyAllow: ["127.0.0.0/8", "0.0.0.0/8", "::1", "::ffff:0:0/96"],
    allow: ["10.0.0.0/8"],
  });
  const at = (ip: string) => {
    const lab = new Lab({
      config: {
        listeners: [{ id: 1, transport: "udp", address: { ip, port: 3478 } }],
        hostAddresses: ["10.1.2.3"],
        policy: open,
      },
    });
    const client = lab.client();
    client.request(Method.Allocate, [UDP_TRANSPORT, attribute(Attr.AdditionalAddressFamily, 6)]);
    return client;
  };

  it.each(["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::ffff:127.0.0.1", "10.1.2.3"])(
    "is no peer by %s, which is this host",
    (ip) => {
      const client = at("0.0.0.0");
      expect(channelBind(client, 0x4000, { ip, port: 3478 }).outcome).toBe(403);
      expect(channelBind(client, 0x4000, { ip, port: 3479 }).outcome).toBe("success");
    },
  );

  it("leaves the same port of other hosts alone", () => {
    expect(channelBind(at("0.0.0.0"), 0x4000, { ip: "10.1.2.4", port: 3478 }).outcome).toBe("success");
    expect(channelBind(at("::"), 0x4000, { ip: "9.9.9.9", port: 3478 }).outcome).toBe("success");
  });

  it("differs from one on loopback, which only loopback and the wildcard reach", () => {
    const client = at("127.0.0.1");
    for (const ip of ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"]) {
      expect(channelBind(client, 0x4000, { ip, port: 3478 }).outcome).toBe(403);
    }
    expect(channelBind(client, 0x4000, { ip: "10.1.2.3", port: 3478 }).outcome).toBe("success");
  });
});

describe("loops", () => {
  it("one allocation may send to another and back; each packet is relayed once", () => {
    const lab = new Lab();
    const alice = lab.client({ port: 1 });
    const bob = lab.client({ user: "bob", port: 2 });
    const toAlice = relayedOf(allocate(alice));
    const toBob = relayedOf(allocate(bob));
    createPermission(alice, toBob.ip);
    createPermission(bob, toAlice.ip);
    expect(alice.indicate(Method.Send, sendAttributes(toBob, DATA))).toEqual([
      { type: "send", to: "peer", relay: 1, peer: toBob, bytes: DATA },
    ]);
    lab.server.handlePeerInput(2, toAlice, DATA, lab.now);
    const outputs = lab.take();
    expect(outputs).toHaveLength(1);
    expect(bob.received(outputs)).toHaveLength(1);
  });

  it("to a listener through a relayed address ends at the listener", () => {
    const { lab, client } = given({ config: { policy: policy({ dangerouslyAllow: ["198.51.100.0/24"] }) } });
    createPermission(client, LISTENER.ip);
    client.send(client.session.indication(Method.Send, sendAttributes(LISTENER, DATA)));
    expect(lab.drops()).toEqual(["forbidden-peer"]);
  });
});

describe("external address mapping (public/private)", () => {
  const mapped = () =>
    given({
      config: {
        relays: [{ ip: "10.0.0.5", external: "9.1.1.1", ports: { min: 50000, max: 50999 } }],
      },
    });

  it("binds the private address and tells the client the public one", () => {
    const lab = new Lab({ config: { relays: [{ ip: "10.0.0.5", external: "9.1.1.1" }] } });
    const client = lab.client();
    const relayed = relayedOf(allocate(client));
    expect(relayed.ip).toBe("9.1.1.1");
    expect(lab.take()).toContainEqual({ type: "bind", relay: 1, local: { ip: "10.0.0.5", port: relayed.port } });
  });

  it("sends to an own public address by the private one", () => {
    const { lab, client } = mapped();
    const peer = { ip: "9.1.1.1", port: 50001 };
    createPermission(client, peer.ip);
    channelBind(client, 0x4000, peer);
    expect(lab.take().filter(({ type }) => type === "upsert")).toMatchObject([
      { entry: { kind: "permission", ip: "9.1.1.1", wireIp: "10.0.0.5", ports: { min: 50000, max: 50999 } } },
      { entry: { kind: "permission", ip: "9.1.1.1", wireIp: "10.0.0.5" } },
      { entry: { kind: "channel", peer, wireIp: "10.0.0.5" } },
    ]);
    expect(client.sendChannelData(0x4000, DATA)).toMatchObject([{ peer: { ip: "10.0.0.5", port: 50001 } }]);
    expect(client.indicate(Method.Send, sendAttributes(peer, DATA))).toMatchObject([
      { peer: { ip: "10.0.0.5", port: 50001 } },
    ]);
  });

  it("shows the client data from an own private address as from the public one", () => {
    const { lab, client } = mapped();
    createPermission(client, "9.1.1.1");
    lab.take();
    lab.server.handlePeerInput(1, { ip: "10.0.0.5", port: 50001 }, DATA, lab.now);
    lab.server.handlePeerError(1, { ip: "10.0.0.5", port: 50001 }, { type: 3, code: 3, data: 0 }, lab.now);
    const peers = client.received(lab.take()).map((bytes) => mustDecode(bytes).get(Attr.XorPeerAddress));
    expect(peers).toEqual([
      { ip: "9.1.1.1", port: 50001 },
      { ip: "9.1.1.1", port: 50001 },
    ]);
  });

  it("leaves the private address no peer under its own name, allowed or not", () => {
    const { client } = mapped();
    expect(createPermission(client, "10.0.0.5").outcome).toBe(403);
    const open = new Lab({
      config: {
        relays: [{ ip: "10.0.0.5", external: "9.1.1.1" }],
        policy: policy({ allow: ["10.0.0.0/8"] }),
      },
    });
    const other = open.client();
    allocate(other);
    expect(createPermission(other, "10.0.0.5").outcome).toBe(403);
    expect(createPermission(other, "10.0.0.6").outcome).toBe("success");
  });
});
