import { Attr } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, type LabClient } from "./support/lab.ts";
import { allocate, refresh } from "./support/requests.ts";

const nonceOf = (client: LabClient): string => client.challenge().get(Attr.Nonce) ?? "";
const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

describe("a nonce", () => {
  it("is for one client address and port: another gets 438 and a nonce of its own", () => {
    const lab = new Lab();
    const nonce = nonceOf(lab.client());
    for (const other of [lab.client({ port: 1001 }), lab.client({ ip: "8.8.1.2" })]) {
      const reply = allocate(other, [], { nonce });
      expect(reply.outcome).toBe(438);
      expect(reply.message?.get(Attr.ErrorCode)?.reason).toBe("");
      expect(reply.message?.get(Attr.Nonce)).toMatch(/^obMatJos2/);
      if (reply.message !== undefined) other.session.learn(reply.message);
      expect(allocate(other).outcome).toBe("success");
    }
  });

  it("that was accepted from one client is still no other's", () => {
    const lab = new Lab();
    const client = lab.client();
    const nonce = nonceOf(client);
    expect(allocate(client, [], { nonce }).outcome).toBe("success");
    expect(allocate(lab.client({ port: 1001 }), [], { nonce }).outcome).toBe(438);
    expect(refresh(client).outcome).toBe("success");
  });

  it("is checked again where it was forgotten for many others", () => {
    const lab = new Lab();
    const first = lab.client();
    allocate(first);
    for (let port = 1; port <= 1100; port++) {
      const other = lab.client({ ip: `8.9.${port >> 8}.${port & 255}`, port });
      other.challenge();
      expect(allocate(other).outcome).toBe("success");
    }
    expect(refresh(first).outcome).toBe("success");
  });

  it("expires", () => {
    const lab = new Lab({ config: { nonceLifetimeSeconds: 60 } });
    const client = lab.client();
    allocate(client);
    lab.advance(59_999);
    expect(refresh(client).outcome).toBe("success");
    lab.advance(1);
    expect(refresh(client).outcome).toBe(438);
    expect(lab.events("auth-failed").at(-1)).toMatchObject({ code: 438, reason: "stale-nonce" });
  });

  it.each([
    ["empty", () => ""],
    ["text", () => "nonce"],
    ["only a cookie", () => "obMatJos2gAAA"],
    ["cut short", (nonce: string) => nonce.slice(0, -1)],
    ["with something after it", (nonce: string) => `${nonce}A`],
    ["with its last character altered", (nonce: string) => nonce.slice(0, -2) + (nonce.endsWith("A") ? "QQ" : "AA")],
    ["with its time altered", (nonce: string) => `${nonce.slice(0, 13)}B${nonce.slice(14)}`],
    ["with another feature announced", (nonce: string) => nonce.replace("gAAA", "wAAA")],
    ["with no feature announced", (nonce: string) => nonce.replace("gAAA", "AAAA")],
    ["without the cookie", (nonce: string) => nonce.slice(13)],
    ["of bytes beyond ASCII", () => "obMatJos2gAAA\u00ff\u0000"],
  ])("that is %s is answered with 438 and leaves no state", (_, alter) => {
    const lab = new Lab();
    const client = lab.client();
    const nonce = alter(nonceOf(client));
    expect(allocate(client, [], { nonce }).outcome).toBe(438);
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it("of one server is accepted by another with the same key", () => {
    const nonce = nonceOf(new Lab({ seed: 1 }).client());
    expect(allocate(new Lab({ seed: 2 }).client(), [], { nonce }).outcome).toBe("success");
  });

  it("of a server with another key is answered with 438", () => {
    const nonce = nonceOf(new Lab({ config: { nonceKeys: [key(1)] } }).client());
    expect(allocate(new Lab({ config: { nonceKeys: [key(2)] } }).client(), [], { nonce }).outcome).toBe(438);
  });

  it("outlives a rotation of keys as long as its key is kept", () => {
    const lab = new Lab({ config: { nonceKeys: [key(1)] } });
    const client = lab.client();
    allocate(client);
    lab.server.setNonceKeys([key(2), key(1)]);
    expect(refresh(client).outcome).toBe("success");
    lab.server.setNonceKeys([key(2)]);
    expect(refresh(client).outcome).toBe(438);
  });

  it("of any server of the fleet is accepted by all, while they change keys one after the other", () => {
    const fleet = [1, 2, 3].map((seed) => new Lab({ seed, config: { nonceKeys: [key(1), key(0)] } }));
    const outcomes = fleet.flatMap((from, index) => {
      // This one has the new key first, and knows the others' still; they know the next one already.
      from.server.setNonceKeys([key(2), key(1)]);
      for (const late of fleet.slice(index + 1)) late.server.setNonceKeys([key(1), key(0), key(2)]);
      const nonce = nonceOf(from.client());
      return fleet.map((to) => {
        const client = to.client({ port: 1000 });
        if (client.session.challenge === undefined) client.challenge();
        const reply = allocate(client, [], { nonce });
        refresh(client, 0);
        return reply.outcome;
      });
    });
    expect(new Set(outcomes)).toEqual(new Set(["success"]));
  });

  it("under a key that is gone in the middle of a call gets 438 with a new one, never 401", () => {
    const lab = new Lab({ config: { nonceKeys: [key(1)] } });
    const client = lab.client();
    allocate(client);
    for (let rotation = 2; rotation < 6; rotation++) {
      lab.server.setNonceKeys([key(rotation)]);
      const stale = refresh(client);
      expect(stale.outcome).toBe(438);
      expect(stale.message !== undefined && client.session.learn(stale.message)).toBe(true);
      expect(refresh(client).outcome).toBe("success");
      lab.advance(60_000);
    }
    expect(lab.events("request").filter(({ code }) => code === 401)).toHaveLength(1);
    expect(lab.server.size).toBe(1);
  });

  it("may come from a server whose clock is a little ahead", () => {
    const ahead = new Lab();
    ahead.advance(20_000);
    expect(allocate(new Lab().client(), [], { nonce: nonceOf(ahead.client()) }).outcome).toBe("success");
    ahead.advance(20_000);
    expect(allocate(new Lab().client(), [], { nonce: nonceOf(ahead.client()) }).outcome).toBe(438);
  });
});
