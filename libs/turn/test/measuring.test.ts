import { Attr, attribute } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, RELAY_IP } from "./support/lab.ts";
import { allocate, refresh } from "./support/requests.ts";

const small = { relays: [{ ip: RELAY_IP }], ports: { min: 50_000, max: 50_003 } };

describe("what a request's event tells", () => {
  it("is when it came in, though it had to wait", () => {
    const lab = new Lab({ config: { admission: { onUnavailable: "refuse" } } });
    allocate(lab.client());
    const cameIn = lab.now;
    expect(lab.server.waiting).toBe(1);
    lab.advance(1500);
    lab.server.handleAnswer(lab.asks().at(-1)?.id ?? 0, { kind: "granted" }, lab.now);
    expect(lab.events("request").at(-1)).toMatchObject({ code: undefined, receivedAt: cameIn });
    expect(lab.server.waiting).toBe(0);
  });

  it("is when it came in, though it is refused later", () => {
    const lab = new Lab({ config: { admission: { onUnavailable: "refuse" } } });
    allocate(lab.client());
    const cameIn = lab.now;
    lab.advance(10_000);
    expect(lab.events("request").at(-1)).toMatchObject({ code: 500, receivedAt: cameIn });
  });

  it("is whether the code is the challenge that every client meets, or a failure", () => {
    const lab = new Lab();
    const client = lab.client();
    allocate(client);
    lab.advance(3_700_000);
    refresh(client);
    allocate(lab.client({ port: 7, password: "wrong" }));
    expect(lab.events("request").map(({ code, challenge }) => [code, challenge])).toEqual([
      [401, true],
      [undefined, false],
      [438, true],
      [401, true],
      [401, false],
    ]);
  });
});

describe("the ports", () => {
  it("are those of all places, and those that are taken", () => {
    const lab = new Lab({ config: small });
    expect(lab.server.ports).toEqual({ capacity: 4, used: 0 });
    const client = lab.client();
    allocate(client, [attribute(Attr.EvenPort, { reserveNext: true })]);
    expect(lab.server.ports).toEqual({ capacity: 4, used: 2 });
    refresh(client, 0);
    lab.advance(60_000);
    expect(lab.server.ports).toEqual({ capacity: 4, used: 0 });
  });

  it("are those of the slots that are held, closed ones included", () => {
    const lab = new Lab({ config: { ...small, slots: true } });
    expect(lab.server.ports).toEqual({ capacity: 0, used: 0 });
    const slot = { slot: "a", lease: 1, ip: RELAY_IP, ports: { min: 50_000, max: 50_001 } };
    lab.server.setSlots([slot], lab.now);
    allocate(lab.client());
    lab.server.setSlots([{ ...slot, open: false }], lab.now);
    expect(lab.server.ports).toEqual({ capacity: 2, used: 1 });
  });
});
