import { Attr, attribute, Method } from "@culvert/stun";
import { mustDecode } from "@culvert/testkit";
import type { AllocationSnapshot, Answer } from "@culvert/turn";
import { describe, expect, it } from "vitest";
import { known, Lab, type LabOptions, TCP } from "./support/lab.ts";
import { allocate, refresh, relayedOf, UDP_TRANSPORT } from "./support/requests.ts";

const asking = (onUnavailable: "refuse" | "grant" = "refuse"): LabOptions => ({
  config: { admission: { onUnavailable }, changes: true },
});

const proposals = (lab: Lab): readonly AllocationSnapshot[] =>
  lab.asks().flatMap(({ question }) => (question.kind === "admit" ? [question.allocation] : []));

const answer = (lab: Lab, reply: Answer): void => {
  const ask = lab.asks().at(-1);
  lab.server.handleAnswer(ask?.id ?? 0, reply, lab.now);
  lab.settle();
};

/** The codes of all answers so far. */
const outcomesOf = (lab: Lab): readonly (number | "success")[] =>
  lab.events("request").map(({ code }) => code ?? "success");

const binds = (lab: Lab): number => lab.outputs.filter(({ type }) => type === "bind").length;
const unbinds = (lab: Lab): number => lab.outputs.filter(({ type }) => type === "unbind").length;

describe("an allocation that others have to admit", () => {
  it("is asked about once, as a whole, when its sockets are open", () => {
    const lab = new Lab({
      ...asking(),
      resolve: () => known({ tenant: "acme", user: "alice", kid: "k1", maxBps: 9, peerCidrs: ["9.9.9.0/24"] }),
    });
    const client = lab.client();
    expect(allocate(client, [attribute(Attr.AdditionalAddressFamily, 6)]).outcome).toBe("none");
    expect(binds(lab)).toBe(2);
    const [proposal, ...others] = proposals(lab);
    expect(others).toEqual([]);
    expect(proposal).toMatchObject({
      version: 1,
      client: client.tuple,
      transport: "udp",
      tenant: "acme",
      user: "alice",
      kid: "k1",
      username: "alice",
      claims: { maxBps: 9, peerCidrs: ["9.9.9.0/24"] },
      createdAt: lab.now,
      relays: [
        { family: 4, expiresAt: lab.now + 600_000, permissions: [], channels: [] },
        { family: 6, expiresAt: lab.now + 600_000, permissions: [], channels: [] },
      ],
    });
    expect(proposal?.record).toMatch(/^[A-Za-z0-9_-]{16}$/);
    expect(JSON.stringify(proposal)).not.toContain("secret");
  });

  it("is there as it was proposed, once it is granted", () => {
    const lab = new Lab(asking());
    const client = lab.client();
    allocate(client);
    answer(lab, { kind: "granted" });
    expect(outcomesOf(lab)).toEqual([401, "success"]);
    const [proposal] = proposals(lab);
    const [created] = lab.events("allocation-created");
    expect(created?.record).toBe(proposal?.record);
    expect(created?.relayed).toEqual(proposal?.relays.map(({ relayed }) => relayed));
    expect(lab.server.snapshot(created?.allocation ?? 0)).toEqual(proposal);
    // What was written is true: nothing has to be written again.
    expect(lab.outputs.some(({ type }) => type === "changed")).toBe(false);
  });

  it("is written anew where the answer took long, since it ends later than proposed", () => {
    const lab = new Lab(asking());
    allocate(lab.client());
    lab.advance(1500);
    answer(lab, { kind: "granted" });
    expect(lab.outputs).toContainEqual({ type: "changed", allocation: 1 });
    expect(lab.server.snapshot(1)?.relays[0]?.expiresAt).toBe(lab.now + 600_000);
  });

  it("is refused with 486, protected, over the quota", () => {
    const lab = new Lab(asking());
    const client = lab.client();
    allocate(client);
    answer(lab, { kind: "refused" });
    expect(outcomesOf(lab)).toEqual([401, 486]);
    expect(unbinds(lab)).toBe(1);
    expect(lab.events("admission-unused")).toEqual([]);
    expect(mustDecode(client.received(lab.outputs).at(-1) ?? new Uint8Array()).has(Attr.MessageIntegrity)).toBe(true);
  });

  it("that is at another server is left to that one: nothing is answered, nothing stays", () => {
    const lab = new Lab(asking());
    const client = lab.client();
    allocate(client);
    answer(lab, { kind: "elsewhere" });
    expect(lab.drops()).toEqual(["elsewhere"]);
    expect(lab.events("admission-unused")).toEqual([]);
    expect(outcomesOf(lab)).toEqual([401]);
    expect(unbinds(lab)).toBe(1);
    expect(lab.server.owns(client.tuple)).toBe(false);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("on ports that are not this server's any more is answered like a full server", () => {
    const lab = new Lab(asking());
    lab.server.setAlternates([{ ip: "198.51.100.9", port: 3478 }]);
    allocate(lab.client());
    answer(lab, { kind: "stale" });
    expect(outcomesOf(lab)).toEqual([401, 300]);
  });

  it("that nobody can tell about is refused with 500, and taken back in case it was granted", () => {
    const lab = new Lab(asking());
    allocate(lab.client());
    lab.advance(3000);
    allocate(lab.client({ port: 2 }));
    answer(lab, { kind: "unavailable" });
    expect(outcomesOf(lab)).toEqual([401, 500, 401, 500]);
    expect(lab.events("admission-unused").map(({ record }) => record)).toEqual(
      proposals(lab).map(({ record }) => record),
    );
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("that nobody can tell about is there all the same where configured so, and is to be written", () => {
    const lab = new Lab(asking("grant"));
    allocate(lab.client());
    lab.advance(3000);
    allocate(lab.client({ port: 2 }));
    answer(lab, { kind: "unavailable" });
    expect(outcomesOf(lab)).toEqual([401, "success", 401, "success"]);
    expect(lab.outputs.filter(({ type }) => type === "changed")).toHaveLength(2);
    expect(lab.events("admission-unused")).toEqual([]);
    expect(lab.server.size).toBe(2);
  });

  it("keeps to the own quotas while nobody can tell", () => {
    const lab = new Lab({
      config: { admission: { onUnavailable: "grant" }, limits: { allocationsPerUser: 1 } },
    });
    allocate(lab.client());
    answer(lab, { kind: "unavailable" });
    expect(allocate(lab.client({ port: 2 })).outcome).toBe(486);
  });

  it("is not asked about twice by a retransmission", () => {
    const lab = new Lab(asking());
    const client = lab.client();
    const transactionId = lab.random.bytes(12);
    allocate(client, [], { transactionId });
    allocate(client, [], { transactionId });
    expect(lab.asks()).toHaveLength(1);
    expect(lab.drops()).toEqual(["retransmission"]);
    expect(allocate(client).outcome).toBe(437);
    answer(lab, { kind: "granted" });
    const relayed = lab.events("allocation-created")[0]?.relayed[0];
    expect(relayedOf(allocate(client, [], { transactionId }))).toEqual(relayed);
    expect(lab.asks()).toHaveLength(1);
  });

  it("is not asked about where no socket can be had", () => {
    const lab = new Lab({ ...asking(), bind: () => ({ ok: false, reason: "unavailable" }) });
    expect(allocate(lab.client()).outcome).toBe(508);
    expect(lab.asks()).toEqual([]);
  });

  it.each([
    ["its stream ended", (lab: Lab) => lab.server.handleClientClosed({ listener: TCP, remote: CLIENT }, lab.now)],
    ["its user was revoked", (lab: Lab) => void lab.server.revoke({ tenant: "acme", user: "alice" }, lab.now)],
  ])("comes to nothing while it is asked about: %s; whatever the answer, it is taken back", (_, end) => {
    const lab = new Lab(asking());
    const client = lab.client({ listener: TCP, ...CLIENT });
    allocate(client);
    end(lab);
    lab.settle();
    expect(lab.events("admission-unused")).toMatchObject([
      { record: proposals(lab)[0]?.record, tenant: "acme", user: "alice" },
    ]);
    answer(lab, { kind: "granted" });
    expect(lab.server.size).toBe(0);
    expect(unbinds(lab)).toBe(1);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("waits in a queue of bounded length; beyond, nobody can tell: 500", () => {
    const lab = new Lab({ config: { admission: { onUnavailable: "refuse" }, limits: { pendingRequests: 1 } } });
    allocate(lab.client());
    expect(allocate(lab.client({ port: 2 })).outcome).toBe(500);
    // It was never asked about.
    expect(lab.events("admission-unused")).toEqual([]);
  });

  it("and its credential may be asked for one after the other", () => {
    const lab = new Lab({ ...asking(), resolve: () => ({ kind: "ask" }) });
    const client = lab.client();
    client.request(Method.Allocate, [UDP_TRANSPORT]);
    answer(lab, {
      kind: "known",
      claims: { tenant: "acme", user: "alice" },
      candidates: [{ password: "secret" }],
    });
    answer(lab, { kind: "granted" });
    expect(lab.server.size).toBe(1);
  });

  it("says whose it is when it ends, and why", () => {
    const lab = new Lab(asking());
    const client = lab.client();
    allocate(client);
    answer(lab, { kind: "granted" });
    refresh(client, 0);
    expect(lab.events("allocation-deleted")).toMatchObject([
      { record: proposals(lab)[0]?.record, reason: "refresh", tenant: "acme", user: "alice" },
    ]);
  });

  it("counts on the own quota only as long as it lives or is being made", () => {
    const lab = new Lab({ config: { admission: { onUnavailable: "refuse" }, limits: { allocationsPerUser: 1 } } });
    for (const kind of ["refused", "elsewhere", "stale", "unavailable", "granted"] as const) {
      allocate(lab.client());
      expect(allocate(lab.client({ port: 2 })).outcome).toBe(486);
      answer(lab, { kind });
    }
    expect(lab.server.size).toBe(1);
  });
});

const CLIENT = { ip: "8.8.1.1", port: 1000 };
