import { describe, expect, it } from "vitest";
import { known, Lab } from "./support/lab.ts";
import { allocate, refresh } from "./support/requests.ts";

const outcomes = (lab: Lab, count: number, user = "alice", first = 0) =>
  Array.from({ length: count }, (_, index) => allocate(lab.client({ user, port: 2000 + first + index })).outcome);

describe("allocations", () => {
  it("of one user beyond its quota are answered with 486; other users have their own", () => {
    const lab = new Lab({ config: { limits: { allocationsPerUser: 2 } } });
    expect(outcomes(lab, 3)).toEqual(["success", "success", 486]);
    expect(outcomes(lab, 3, "bob", 100)).toEqual(["success", "success", 486]);
  });

  it("of one user are counted in what its credential allows, where it says so", () => {
    const lab = new Lab({
      config: { limits: { allocationsPerUser: 1 } },
      resolve: () => known({ tenant: "acme", user: "alice", maxAllocations: 3 }),
    });
    expect(outcomes(lab, 4)).toEqual(["success", "success", "success", 486]);
  });

  it("of one tenant beyond its quota are answered with 486", () => {
    const lab = new Lab({
      config: { limits: { allocationsPerTenant: 2 } },
      resolve: (username = "") => known({ tenant: username === "carol" ? "umbrella" : "acme", user: username }),
    });
    expect([...outcomes(lab, 1), ...outcomes(lab, 2, "bob", 10)]).toEqual(["success", "success", 486]);
    expect(outcomes(lab, 1, "carol", 20)).toEqual(["success"]);
  });

  it("of the server beyond its limit are answered with 508", () => {
    const lab = new Lab({ config: { limits: { allocations: 2 } } });
    expect([...outcomes(lab, 2), ...outcomes(lab, 1, "bob", 10)]).toEqual(["success", "success", 508]);
  });

  it("count while their sockets are being opened, and give back what they did not use", () => {
    const lab = new Lab({ config: { limits: { allocationsPerUser: 1 } }, bind: () => undefined });
    expect(outcomes(lab, 2)).toEqual(["none", 486]);
    lab.server.handleBound(1, { ok: false, reason: "unavailable" }, lab.now);
    expect(outcomes(lab, 1, "alice", 5)).toEqual(["none"]);
  });

  it("give back their place by whichever way they end", () => {
    const lab = new Lab({ config: { limits: { allocationsPerUser: 1 } } });
    const ends: readonly ((client: ReturnType<Lab["client"]>) => void)[] = [
      (client) => refresh(client, 0),
      () => lab.advance(600_000),
      (client) => lab.server.handleClientClosed(client.tuple, lab.now),
      () => lab.server.revoke({ tenant: "acme", user: "alice" }, lab.now),
      () => lab.server.terminate([...lab.server.list()][0]?.relays[0]?.relay ?? 0, lab.now),
    ];
    ends.forEach((end, index) => {
      const client = lab.client({ port: 3000 + index });
      expect(allocate(client).outcome).toBe("success");
      expect(allocate(lab.client({ port: 4000 + index })).outcome).toBe(486);
      end(client);
      expect(lab.server.size).toBe(0);
    });
    expect(lab.events("allocation-deleted").map(({ reason }) => reason)).toEqual([
      "refresh",
      "expired",
      "client-closed",
      "revoked",
      "terminated",
    ]);
  });
});
