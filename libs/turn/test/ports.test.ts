import { Attr, attribute } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, RELAY_IP } from "./support/lab.ts";
import { allocate, refresh, relayedOf } from "./support/requests.ts";

const oneAddress = (min: number, max: number) => ({ relays: [{ ip: RELAY_IP, ports: { min, max } }] });
/** Clients at 8.8.x.y, so that each has an address of its own. */
const clientAt = (lab: Lab, index: number) => lab.client({ ip: `8.8.${index >> 8}.${index & 255}` });

describe("relayed ports", () => {
  it("come out of the whole range with equal chances", () => {
    // Every port turns out to be in use, so that one request draws a hundred.
    const lab = new Lab({
      config: { ...oneAddress(50_000, 50_999), limits: { bindAttempts: 100 } },
      bind: () => ({ ok: false, reason: "in-use" }),
    });
    const bins = new Array<number>(20).fill(0);
    const draws = 10_000;
    let odd = 0;
    for (let request = 0; request < draws / 100; request++) {
      allocate(lab.client());
      for (const output of lab.take()) {
        if (output.type !== "bind") continue;
        const bin = Math.floor((output.local.port - 50_000) / 50);
        bins[bin] = (bins[bin] ?? 0) + 1;
        odd += output.local.port & 1;
      }
      lab.advance(60_000);
    }
    expect(bins.reduce((sum, count) => sum + count)).toBe(draws);
    const expected = draws / bins.length;
    const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 19 degrees of freedom: above 43.8 once in a thousand seeds.
    expect(chiSquare).toBeLessThan(43.8);
    expect(Math.abs(odd - draws / 2)).toBeLessThan(165);
  });

  it("run out: 508 at once, and all are free again afterwards", () => {
    const lab = new Lab({ config: oneAddress(50_000, 50_099) });
    const clients = Array.from({ length: 101 }, (_, index) => clientAt(lab, index));
    const ports = clients.slice(0, 100).map((client) => relayedOf(allocate(client)).port);
    expect(new Set(ports).size).toBe(100);
    const last = clients[100] ?? clientAt(lab, 100);
    expect(allocate(last).outcome).toBe(508);
    expect(lab.server.size).toBe(100);
    for (const client of clients.slice(0, 100)) refresh(client, 0);
    expect(clients.map((client) => allocate(client).outcome).filter((outcome) => outcome === "success")).toHaveLength(
      100,
    );
  });

  it("are free again after expiry, too", () => {
    const lab = new Lab({ config: oneAddress(50_000, 50_000) });
    expect(allocate(clientAt(lab, 1)).outcome).toBe("success");
    lab.advance(599_999);
    expect(allocate(clientAt(lab, 2)).outcome).toBe(508);
    lab.advance(1);
    expect(allocate(clientAt(lab, 2)).outcome).toBe("success");
  });

  it("are taken from every address of the family", () => {
    const relays = ["198.51.100.1", "198.51.100.2"].map((ip) => ({ ip, ports: { min: 50_000, max: 50_001 } }));
    const lab = new Lab({ config: { relays } });
    const relayed = [0, 1, 2, 3].map((index) => relayedOf(allocate(clientAt(lab, index))));
    expect(new Set(relayed.map(({ ip, port }) => `${ip} ${port}`)).size).toBe(4);
    expect(allocate(clientAt(lab, 4)).outcome).toBe(508);
  });

  it("are never a listener's", () => {
    const lab = new Lab({
      config: {
        ...oneAddress(50_000, 50_001),
        listeners: [{ id: 1, transport: "udp", address: { ip: "0.0.0.0", port: 50_000 } }],
      },
    });
    expect(relayedOf(allocate(clientAt(lab, 1))).port).toBe(50_001);
    expect(allocate(clientAt(lab, 2)).outcome).toBe(508);
  });
});

describe("a port that cannot be bound", () => {
  it("because it is in use is left alone for a minute, and another one is tried", () => {
    const lab = new Lab({
      config: oneAddress(50_000, 50_001),
      bind: ({ local }) => (local.port === 50_000 ? { ok: false, reason: "in-use" } : { ok: true }),
    });
    expect(relayedOf(allocate(clientAt(lab, 1))).port).toBe(50_001);
    expect(allocate(clientAt(lab, 2)).outcome).toBe(508);
    const tried = () => lab.outputs.filter((output) => output.type === "bind" && output.local.port === 50_000).length;
    const before = tried();
    expect(before).toBeLessThanOrEqual(1);
    lab.advance(61_000);
    expect(allocate(clientAt(lab, 3)).outcome).toBe(508);
    expect(tried()).toBe(2);
  });

  it("is answered with 508 after a bounded number of tries", () => {
    const lab = new Lab({ bind: () => ({ ok: false, reason: "in-use" }) });
    expect(allocate(lab.client()).outcome).toBe(508);
    expect(lab.outputs.filter(({ type }) => type === "bind")).toHaveLength(16);
    expect(lab.events("bind-failed")).toHaveLength(16);
    lab.advance(60_000);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });

  it.each(["unavailable", "no-descriptors"] as const)("because of %s is not tried again", (reason) => {
    const lab = new Lab({ bind: () => ({ ok: false, reason }) });
    expect(allocate(lab.client()).outcome).toBe(508);
    expect(lab.outputs.filter(({ type }) => type === "bind")).toHaveLength(1);
  });

  it("because nobody answers is given up after two seconds and closed", () => {
    const lab = new Lab({ config: oneAddress(50_000, 50_000), bind: () => undefined });
    const client = lab.client();
    allocate(client);
    lab.take();
    lab.advance(1999);
    expect(lab.take()).toEqual([]);
    lab.advance(1);
    const outputs = lab.take();
    expect(outputs[0]).toEqual({ type: "unbind", relay: 1 });
    expect(client.received(outputs)).toHaveLength(1);
    lab.server.handleBound(1, { ok: true }, lab.now);
    expect(lab.take()).toEqual([]);
    expect(lab.server.size).toBe(0);
    allocate(client);
    expect(lab.outputs).toContainEqual({ type: "bind", relay: 2, local: { ip: RELAY_IP, port: 50_000 } });
  });

  it("because the client's stream ended meanwhile is closed", () => {
    const lab = new Lab({ bind: () => undefined });
    const client = lab.client();
    allocate(client, [attribute(Attr.AdditionalAddressFamily, 6)]);
    lab.server.handleBound(1, { ok: true }, lab.now);
    lab.take();
    lab.server.handleClientClosed(client.tuple, lab.now);
    expect(lab.take()).toEqual(expect.arrayContaining([1, 2].map((relay) => ({ type: "unbind", relay }))));
    lab.server.handleBound(2, { ok: true }, lab.now);
    expect(lab.take()).toEqual([]);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });
});
