import { Attr, Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { known, Lab, type LabOptions, REALM } from "./support/lab.ts";
import { allocate, refresh, UDP_TRANSPORT } from "./support/requests.ts";

const asking: LabOptions = { resolve: () => ({ kind: "ask" }) };
const ALICE = {
  kind: "known",
  claims: { tenant: "acme", user: "alice" },
  candidates: [{ password: "secret" }],
} as const;
const outcomesOf = (lab: Lab) => lab.events("request").map(({ code }) => code ?? "success");

describe("a user whom the authenticator has to ask for", () => {
  it("waits for the answer", () => {
    const lab = new Lab(asking);
    const client = lab.client();
    expect(allocate(client).outcome).toBe("none");
    expect(lab.asks()).toEqual([
      {
        type: "ask",
        id: 1,
        question: { kind: "credential", realm: REALM, username: "alice" },
        deadline: lab.now + 3000,
      },
    ]);
    lab.server.handleAnswer(1, ALICE, lab.now);
    lab.settle();
    expect(outcomesOf(lab)).toEqual([401, "success"]);
    expect(lab.server.size).toBe(1);
  });

  it("is refused with 401 where the answer is no, or the password is wrong", () => {
    const lab = new Lab(asking);
    allocate(lab.client());
    lab.server.handleAnswer(1, { kind: "rejected", reason: "unknown-user" }, lab.now);
    allocate(lab.client({ port: 2, password: "wrong" }));
    lab.server.handleAnswer(2, ALICE, lab.now);
    lab.settle();
    expect(outcomesOf(lab)).toEqual([401, 401, 401, 401]);
    expect(lab.server.size).toBe(0);
  });

  it("is not asked for twice by a retransmission", () => {
    const lab = new Lab(asking);
    const client = lab.client();
    client.challenge();
    const bytes = client.session.request(Method.Allocate, [UDP_TRANSPORT]);
    client.send(bytes);
    client.send(bytes);
    expect(lab.asks()).toHaveLength(1);
    expect(lab.drops()).toEqual(["retransmission"]);
  });

  it("gets no answer in time: the request is dropped, and a retransmission asks anew", () => {
    const lab = new Lab(asking);
    const client = lab.client();
    client.challenge();
    const bytes = client.session.request(Method.Allocate, [UDP_TRANSPORT]);
    client.send(bytes);
    lab.advance(3000);
    expect(lab.drops()).toEqual(["ask-timeout"]);
    lab.server.handleAnswer(1, ALICE, lab.now);
    lab.settle();
    expect(lab.server.size).toBe(0);
    client.send(bytes);
    lab.server.handleAnswer(2, ALICE, lab.now);
    lab.settle();
    expect(lab.server.size).toBe(1);
  });

  it("is dropped where the other side is not available, or answers another question", () => {
    const lab = new Lab(asking);
    allocate(lab.client());
    lab.server.handleAnswer(1, { kind: "unavailable" }, lab.now);
    allocate(lab.client());
    lab.server.handleAnswer(2, { kind: "granted" }, lab.now);
    expect(lab.drops()).toEqual(["ask-timeout", "ask-timeout"]);
    expect(lab.server.size).toBe(0);
  });

  it("waits in a queue of bounded length", () => {
    const lab = new Lab({ ...asking, config: { limits: { pendingRequests: 2 } } });
    for (let port = 1; port <= 4; port++) allocate(lab.client({ port }));
    expect(lab.asks()).toHaveLength(2);
    expect(lab.drops()).toEqual(["pending-full", "pending-full"]);
  });

  it("is asked for no faster than one source may fail", () => {
    const lab = new Lab({
      ...asking,
      config: { limits: { unauthenticatedPerSecond: 1, unauthenticatedBurst: 5 } },
    });
    const client = lab.client();
    for (let attempt = 0; attempt < 10; attempt++) allocate(client);
    expect(lab.asks()).toHaveLength(4);
    expect(lab.drops().every((reason) => reason === "rate-limited")).toBe(true);
  });

  it("is forgotten when its stream ends", () => {
    const lab = new Lab(asking);
    const client = lab.client();
    allocate(client);
    lab.server.handleClientClosed(client.tuple, lab.now);
    lab.server.handleAnswer(1, ALICE, lab.now);
    lab.settle();
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("is asked for at each request", () => {
    const lab = new Lab(asking);
    const client = lab.client();
    allocate(client);
    lab.server.handleAnswer(1, ALICE, lab.now);
    refresh(client, 0);
    lab.server.handleAnswer(2, ALICE, lab.now);
    lab.settle();
    expect(lab.server.size).toBe(0);
  });
});

describe("a quota that the fleet counts", () => {
  const counting: LabOptions = { config: { fleetQuota: true } };

  it("is asked for before a socket is opened", () => {
    const lab = new Lab(counting);
    const client = lab.client();
    expect(allocate(client).outcome).toBe("none");
    expect(lab.asks()).toMatchObject([{ question: { kind: "quota", tenant: "acme", user: "alice" } }]);
    expect(lab.outputs.some(({ type }) => type === "bind")).toBe(false);
    lab.server.handleAnswer(1, { kind: "granted" }, lab.now);
    lab.settle();
    expect(outcomesOf(lab)).toEqual([401, "success"]);
  });

  it("that is used up is answered with 486, protected", () => {
    const lab = new Lab(counting);
    const client = lab.client();
    allocate(client);
    lab.take();
    lab.server.handleAnswer(1, { kind: "refused" }, lab.now);
    lab.settle();
    expect(outcomesOf(lab)).toEqual([486]);
    expect(client.received(lab.take())).toHaveLength(1);
  });

  it("that nobody can tell is answered with 500", () => {
    const lab = new Lab(counting);
    allocate(lab.client());
    lab.advance(3000);
    allocate(lab.client());
    lab.server.handleAnswer(2, { kind: "unavailable" }, lab.now);
    expect(outcomesOf(lab)).toEqual([401, 500, 401, 500]);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("is not asked for twice by a retransmission", () => {
    const lab = new Lab(counting);
    const client = lab.client();
    const transactionId = lab.random.bytes(12);
    allocate(client, [], { transactionId });
    allocate(client, [], { transactionId });
    expect(lab.asks()).toHaveLength(1);
    expect(lab.drops()).toEqual(["retransmission"]);
    expect(allocate(client).outcome).toBe(437);
  });

  it("is given back where the allocation comes to nothing", () => {
    const lab = new Lab({ ...counting, bind: () => ({ ok: false, reason: "unavailable" }) });
    allocate(lab.client());
    lab.server.handleAnswer(1, { kind: "granted" }, lab.now);
    lab.settle();
    expect(lab.events("quota-unused")).toMatchObject([{ tenant: "acme", user: "alice" }]);
    expect(outcomesOf(lab)).toEqual([401, 508]);
  });

  it("granted to a client that is gone is not taken", () => {
    const lab = new Lab(counting);
    const client = lab.client();
    allocate(client);
    lab.server.handleClientClosed(client.tuple, lab.now);
    lab.server.handleAnswer(1, { kind: "granted" }, lab.now);
    lab.settle();
    expect(lab.server.size).toBe(0);
    expect(lab.outputs.some(({ type }) => type === "bind")).toBe(false);
  });

  it("waits in a queue of bounded length; beyond: 500", () => {
    const lab = new Lab({ config: { fleetQuota: true, limits: { pendingRequests: 1 } } });
    allocate(lab.client());
    expect(allocate(lab.client({ port: 2 })).outcome).toBe(500);
  });

  it("and a credential may be asked for one after the other", () => {
    const lab = new Lab({ ...asking, ...counting });
    const reply = allocate(lab.client());
    expect(reply.message?.has(Attr.XorRelayedAddress)).toBeUndefined();
    lab.server.handleAnswer(1, known({ tenant: "acme", user: "alice" }) as typeof ALICE, lab.now);
    lab.settle();
    lab.server.handleAnswer(2, { kind: "granted" }, lab.now);
    lab.settle();
    expect(lab.server.size).toBe(1);
  });
});
