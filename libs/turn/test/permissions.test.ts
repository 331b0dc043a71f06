import { Attr, attribute, Method, rawAttribute } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, PEER, PEER6 } from "./support/lab.ts";
import { allocate, createPermission, refresh, sendAttributes } from "./support/requests.ts";

const DATA = Uint8Array.of(1, 2, 3);
const permissionsOf = (lab: Lab): readonly string[] =>
  [...lab.server.list()].flatMap(({ relays }) => relays.flatMap(({ permissions }) => permissions.map(({ ip }) => ip)));

describe("CreatePermission (RFC 8656 section 10)", () => {
  it("without an allocation is answered with 437", () => {
    expect(createPermission(new Lab().client(), PEER.ip).outcome).toBe(437);
  });

  it("enters the peer's IP address into the table for 300 seconds", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    lab.take();
    expect(createPermission(client, PEER.ip).outcome).toBe("success");
    expect(lab.events("permission-created")).toMatchObject([{ ip: PEER.ip, tenant: "acme", user: "alice" }]);
    expect(lab.take()[0]).toEqual({
      type: "upsert",
      entry: { kind: "permission", relay: 1, ip: PEER.ip, deadline: lab.now + 300_000 },
    });
  });

  it("expires unless it is created again", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    createPermission(client, PEER.ip, "9.9.9.10");
    lab.advance(200_000);
    createPermission(client, PEER.ip);
    expect(lab.events("permission-created")).toHaveLength(2);
    lab.advance(99_999);
    expect(permissionsOf(lab)).toEqual([PEER.ip, "9.9.9.10"]);
    lab.take();
    lab.advance(1);
    expect(lab.take()).toEqual([{ type: "revoke", key: { kind: "permission", relay: 1, ip: "9.9.9.10" } }]);
    expect(permissionsOf(lab)).toEqual([PEER.ip]);
    lab.advance(200_000);
    expect(permissionsOf(lab)).toEqual([]);
  });

  it("is not refreshed by Send indications or by Refresh", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    createPermission(client, PEER.ip);
    lab.advance(299_000);
    client.indicate(Method.Send, sendAttributes(PEER, DATA));
    refresh(client);
    lab.advance(1000);
    expect(permissionsOf(lab)).toEqual([]);
  });

  it("takes several addresses at once", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    expect(createPermission(client, PEER.ip, "9.9.9.10", PEER.ip).outcome).toBe("success");
    expect(permissionsOf(lab)).toEqual([PEER.ip, "9.9.9.10"]);
  });

  it("of several addresses takes all or none", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    lab.take();
    expect(createPermission(client, PEER.ip, "127.0.0.1").outcome).toBe(403);
    expect(createPermission(client, PEER.ip, PEER6.ip).outcome).toBe(443);
    const garbage = client.request(Method.CreatePermission, [
      attribute(Attr.XorPeerAddress, PEER),
      rawAttribute(Attr.XorPeerAddress.type, Uint8Array.of(0, 9, 0, 0)),
    ]);
    expect(garbage.outcome).toBe(400);
    expect(permissionsOf(lab)).toEqual([]);
    expect(lab.take().filter(({ type }) => type === "upsert")).toEqual([]);
  });

  it("without an address is answered with 400", () => {
    const client = new Lab().client();
    allocate(client);
    expect(createPermission(client).outcome).toBe(400);
  });

  it("of each family goes to the relayed address of that family", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client, [attribute(Attr.AdditionalAddressFamily, 6)]);
    expect(createPermission(client, PEER.ip, PEER6.ip).outcome).toBe("success");
    expect([...lab.server.list()][0]?.relays.map(({ family, permissions }) => [family, permissions[0]?.ip])).toEqual([
      [4, PEER.ip],
      [6, PEER6.ip],
    ]);
  });

  it("beyond the cap of the allocation is answered with 508; known ones can still be refreshed", () => {
    const lab = new Lab({ config: { limits: { permissionsPerAllocation: 3 } } });
    const client = lab.client();
    allocate(client);
    expect(createPermission(client, "9.0.0.1", "9.0.0.2").outcome).toBe("success");
    expect(createPermission(client, "9.0.0.3", "9.0.0.4").outcome).toBe(508);
    expect(createPermission(client, "9.0.0.3").outcome).toBe("success");
    expect(createPermission(client, "9.0.0.1", "9.0.0.2", "9.0.0.3").outcome).toBe("success");
    lab.advance(300_000);
    expect(createPermission(client, "9.0.0.4").outcome).toBe("success");
  });

  it("of new peers faster than the cap is answered with 508", () => {
    const lab = new Lab({ config: { limits: { newPeersPerSecond: 2, newPeersBurst: 4 } } });
    const client = lab.client();
    allocate(client);
    expect(createPermission(client, "9.0.0.1", "9.0.0.2", "9.0.0.3", "9.0.0.4").outcome).toBe("success");
    expect(createPermission(client, "9.0.0.5").outcome).toBe(508);
    expect(createPermission(client, "9.0.0.4").outcome).toBe("success");
    lab.advance(500);
    expect(createPermission(client, "9.0.0.5").outcome).toBe("success");
    expect(createPermission(client, "9.0.0.6").outcome).toBe(508);
  });
});
