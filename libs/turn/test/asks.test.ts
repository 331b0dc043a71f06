import { Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, type LabOptions, REALM } from "./support/lab.ts";
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
