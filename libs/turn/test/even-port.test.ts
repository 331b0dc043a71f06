import { Attr, attribute } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, RELAY_IP } from "./support/lab.ts";
import { allocate, refresh, relayedOf } from "./support/requests.ts";

const EVEN = attribute(Attr.EvenPort, { reserveNext: false });
const PAIR = attribute(Attr.EvenPort, { reserveNext: true });
const clientAt = (lab: Lab, index: number, user = "alice") => lab.client({ user, ip: `8.8.8.${index}` });
const ports = (min: number, max: number) => ({ config: { relays: [{ ip: RELAY_IP, ports: { min, max } }] } });
const tokenOf = (reply: ReturnType<typeof allocate>): Uint8Array => {
  const token = reply.message?.get(Attr.ReservationToken);
  if (token === undefined) throw new Error(`no token: ${reply.outcome}`);
  return token;
};
const claim = (lab: Lab, index: number, token: Uint8Array, user?: string) =>
  allocate(clientAt(lab, index, user), [attribute(Attr.ReservationToken, token)]);

describe("EVEN-PORT (RFC 8656 section 18.7)", () => {
  it("gives an even port", () => {
    const lab = new Lab(ports(50_001, 50_010));
    const given = [1, 2, 3, 4, 5].map((index) => relayedOf(allocate(clientAt(lab, index), [EVEN])).port);
    expect(given.toSorted()).toEqual([50_002, 50_004, 50_006, 50_008, 50_010]);
    expect(allocate(clientAt(lab, 6), [EVEN]).outcome).toBe(508);
    expect(allocate(clientAt(lab, 6)).outcome).toBe("success");
  });

  it("without R reserves nothing", () => {
    expect(allocate(new Lab().client(), [EVEN]).message?.has(Attr.ReservationToken)).toBe(false);
  });

  it("with R binds the next port, too, and holds it for the token", () => {
    const lab = new Lab();
    const reply = allocate(clientAt(lab, 1), [PAIR]);
    const { port } = relayedOf(reply);
    expect(port % 2).toBe(0);
    expect(lab.take()).toContainEqual({ type: "bind", relay: 2, local: { ip: RELAY_IP, port: port + 1 } });
    const second = claim(lab, 2, tokenOf(reply));
    expect(relayedOf(second).port).toBe(port + 1);
    expect(lab.take().filter(({ type }) => type === "bind" || type === "unbind")).toEqual([]);
  });

  it("with R needs two neighbours", () => {
    const lab = new Lab(ports(50_001, 50_004));
    expect(relayedOf(allocate(clientAt(lab, 1), [PAIR])).port).toBe(50_002);
    expect(allocate(clientAt(lab, 2), [PAIR]).outcome).toBe(508);
    expect(allocate(clientAt(lab, 2), [EVEN]).outcome).toBe("success");
  });

  it("with R of which one port is in use takes another pair", () => {
    const lab = new Lab({
      ...ports(50_000, 50_003),
      bind: ({ local }) => (local.port === 50_001 ? { ok: false, reason: "in-use" } : { ok: true }),
    });
    expect(relayedOf(allocate(clientAt(lab, 1), [PAIR])).port).toBe(50_002);
    // The good half of the bad pair is not lost.
    expect(relayedOf(allocate(clientAt(lab, 2), [EVEN])).port).toBe(50_000);
  });
});

describe("RESERVATION-TOKEN (RFC 8656 section 18.10)", () => {
  it("is good once", () => {
    const lab = new Lab();
    const token = tokenOf(allocate(clientAt(lab, 1), [PAIR]));
    expect(claim(lab, 2, token).outcome).toBe("success");
    expect(claim(lab, 3, token).outcome).toBe(508);
  });

  it("is good for 30 seconds; then the port is free again", () => {
    const lab = new Lab(ports(50_000, 50_001));
    const token = tokenOf(allocate(clientAt(lab, 1), [PAIR]));
    lab.advance(29_999);
    expect(allocate(clientAt(lab, 2)).outcome).toBe(508);
    lab.take();
    lab.advance(1);
    expect(lab.take()).toEqual([{ type: "unbind", relay: 2 }]);
    expect(claim(lab, 2, token).outcome).toBe(508);
    expect(relayedOf(allocate(clientAt(lab, 3))).port).toBe(50_001);
  });

  it("outlives the allocation that it came with", () => {
    const lab = new Lab();
    const client = clientAt(lab, 1);
    const token = tokenOf(allocate(client, [PAIR]));
    refresh(client, 0);
    expect(claim(lab, 2, token).outcome).toBe("success");
  });

  it("that nobody gave out is answered with 508", () => {
    expect(claim(new Lab(), 1, new Uint8Array(8)).outcome).toBe(508);
  });

  it.each([
    ["EVEN-PORT", EVEN],
    ["REQUESTED-ADDRESS-FAMILY", attribute(Attr.RequestedAddressFamily, 4)],
    ["ADDITIONAL-ADDRESS-FAMILY", attribute(Attr.AdditionalAddressFamily, 6)],
  ])("with %s is answered with 400, and stays good", (_, other) => {
    const lab = new Lab();
    const token = tokenOf(allocate(clientAt(lab, 1), [PAIR]));
    expect(allocate(clientAt(lab, 2), [attribute(Attr.ReservationToken, token), other]).outcome).toBe(400);
    expect(claim(lab, 2, token).outcome).toBe("success");
  });

  it("is the same in the answer to a retransmission", () => {
    const lab = new Lab();
    const client = clientAt(lab, 1);
    const transactionId = lab.random.bytes(12);
    const first = allocate(client, [PAIR], { transactionId });
    const second = allocate(client, [PAIR], { transactionId });
    expect(tokenOf(second)).toEqual(tokenOf(first));
  });

  it("counts on the quota of its user until it is claimed or gone", () => {
    const lab = new Lab({ config: { limits: { allocationsPerUser: 2 } } });
    const token = tokenOf(allocate(clientAt(lab, 1), [PAIR]));
    expect(allocate(clientAt(lab, 2)).outcome).toBe(486);
    expect(claim(lab, 3, token).outcome).toBe("success");
    expect(allocate(clientAt(lab, 4)).outcome).toBe(486);
    expect(allocate(clientAt(lab, 5, "bob"), [PAIR]).outcome).toBe("success");
    lab.advance(30_000);
    expect(allocate(clientAt(lab, 6, "bob")).outcome).toBe("success");
  });

  it("and its port leak nothing over many rounds, its quota neither", () => {
    const { relays } = ports(50_000, 50_003).config;
    const lab = new Lab({ config: { relays, limits: { allocationsPerUser: 4 } } });
    for (let round = 0; round < 200; round++) {
      const client = clientAt(lab, 1);
      const token = tokenOf(allocate(client, [PAIR]));
      const second = clientAt(lab, 2);
      if (round % 3 === 0) lab.advance(30_000);
      else {
        expect(allocate(second, [attribute(Attr.ReservationToken, token)]).outcome).toBe("success");
        refresh(second, 0);
      }
      refresh(client, 0);
    }
    expect([1, 2, 3, 4].map((index) => allocate(clientAt(lab, index)).outcome)).toEqual(new Array(4).fill("success"));
  });
});
