import { Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, PEER, policy } from "./support/lab.ts";
import { allocate, channelBind, createPermission, sendAttributes } from "./support/requests.ts";

const DATA = Uint8Array.of(1);
const OTHER = { ip: "9.9.8.8", port: 1 };

describe("a change of the peer policy", () => {
  it("cuts live permissions and their channels at once, and leaves the others", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    channelBind(client, 0x4000, PEER);
    channelBind(client, 0x4001, OTHER);
    lab.take();
    lab.server.setPolicy(policy({ deny: [PEER.ip] }), lab.now);
    lab.settle();
    expect(lab.events("permission-revoked")).toMatchObject([{ ip: PEER.ip, tenant: "acme" }]);
    expect(lab.take()).toEqual([
      { type: "revoke", key: { kind: "permission", relay: 1, ip: PEER.ip } },
      { type: "revoke", key: { kind: "channel", relay: 1, channel: 0x4000 } },
    ]);
    expect(client.sendChannelData(0x4000, DATA)).toEqual([]);
    expect(client.indicate(Method.Send, sendAttributes(PEER, DATA))).toEqual([]);
    expect(client.sendChannelData(0x4001, DATA)).toHaveLength(1);
    expect(createPermission(client, PEER.ip).outcome).toBe(403);
  });

  it("that allows more takes effect for new permissions", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    expect(createPermission(client, "10.0.0.1").outcome).toBe(403);
    lab.server.setPolicy(policy({ allow: ["10.0.0.0/8"] }), lab.now);
    expect(createPermission(client, "10.0.0.1").outcome).toBe("success");
  });

  it("that narrows the ports enters the permission anew and cuts channels beyond them", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    channelBind(client, 0x4000, PEER);
    channelBind(client, 0x4001, { ...PEER, port: 50000 });
    lab.take();
    lab.server.setPolicy(policy({ fleet: [{ range: PEER.ip }] }), lab.now);
    expect(lab.take()).toMatchObject([
      { type: "upsert", entry: { kind: "permission", ip: PEER.ip, ports: { min: 49152, max: 65535 } } },
      { type: "revoke", key: { kind: "channel", channel: 0x4000 } },
    ]);
  });

  it("that changes nothing puts nothing out", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    channelBind(client, 0x4000, PEER);
    lab.take();
    lab.server.setPolicy(policy(), lab.now);
    expect(lab.take()).toEqual([]);
  });
});
