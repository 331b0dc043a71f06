import { Attr, attribute, Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, RELAY_IP, TCP, UDP6 } from "./support/lab.ts";
import { allocate, refresh, UDP_TRANSPORT } from "./support/requests.ts";

const ONE_PORT = { relays: [{ ip: RELAY_IP, ports: { min: 50_000, max: 50_000 } }] };
const FOUR = { ip: "198.51.100.20", port: 3478 };
const SIX = { ip: "2001:db8:ffff::20", port: 3478 };

/** A server without a free port. */
function full(config = {}): Lab {
  const lab = new Lab({ config: { ...ONE_PORT, ...config } });
  allocate(lab.client({ user: "bob", port: 9 }));
  return lab;
}

describe("a server without room", () => {
  it("sends the client to the first alternate of its family, with 300, protected", () => {
    const lab = full();
    lab.server.setAlternates([SIX, FOUR, { ip: "198.51.100.21", port: 3478 }]);
    const reply = allocate(lab.client());
    expect(reply.outcome).toBe(300);
    expect(reply.message?.get(Attr.AlternateServer)).toEqual(FOUR);
    expect(reply.message?.has(Attr.MessageIntegrity)).toBe(true);
    expect(allocate(lab.client({ listener: UDP6 })).message?.get(Attr.AlternateServer)).toEqual(SIX);
  });

  it("answers 508 where no alternate is of the client's family, or none is known", () => {
    const lab = full();
    expect(allocate(lab.client()).outcome).toBe(508);
    lab.server.setAlternates([SIX]);
    expect(allocate(lab.client()).outcome).toBe(508);
  });

  it("names an alternate of the client's transport", () => {
    const lab = full();
    const tcp = { ...FOUR, port: 443, transport: "tcp" } as const;
    lab.server.setAlternates([tcp, { ...FOUR, transport: "udp" }]);
    expect(allocate(lab.client()).message?.get(Attr.AlternateServer)).toEqual(FOUR);
    expect(allocate(lab.client({ listener: TCP })).message?.get(Attr.AlternateServer)).toEqual({ ...FOUR, port: 443 });
  });

  it("never names itself", () => {
    const lab = full();
    lab.server.setAlternates([{ ip: "198.51.100.7", port: 3478 }]);
    expect(allocate(lab.client()).outcome).toBe(508);
  });

  it("sends the client on for each reason of being full", () => {
    const limited = new Lab({ config: { limits: { allocations: 1 } } });
    allocate(limited.client({ port: 9 }));
    const unbindable = new Lab({ bind: () => ({ ok: false, reason: "no-descriptors" }) });
    const slotless = new Lab({ config: { slots: true } });
    for (const lab of [full(), limited, unbindable, slotless]) {
      lab.server.setAlternates([FOUR]);
      expect(allocate(lab.client()).outcome).toBe(300);
    }
  });

  it("keeps to itself what is the client's own fault", () => {
    const lab = full({ limits: { allocationsPerUser: 1 } });
    lab.server.setAlternates([FOUR]);
    expect(allocate(lab.client({ user: "bob", port: 10 })).outcome).toBe(486);
    expect(allocate(lab.client(), [attribute(Attr.ReservationToken, new Uint8Array(8))]).outcome).toBe(508);
    expect(allocate(lab.client(), [attribute(Attr.RequestedAddressFamily, 6)]).outcome).toBe(440);
  });

  it("tells nobody who is not authenticated", () => {
    const lab = full();
    lab.server.setAlternates([FOUR]);
    const client = lab.client();
    for (const reply of [
      client.replyTo(client.session.bare(Method.Allocate, [UDP_TRANSPORT])),
      allocate(lab.client({ password: "wrong" })),
    ]) {
      expect(reply.outcome).toBe(401);
      expect(reply.message?.has(Attr.AlternateServer)).toBe(false);
    }
  });

  it("serves those it has, and whoever comes, even sent by another, once there is room", () => {
    const lab = full();
    lab.server.setAlternates([FOUR]);
    const client = lab.client();
    expect(allocate(client).outcome).toBe(300);
    expect(refresh(lab.client({ user: "bob", port: 9 })).outcome).toBe("success");
    refresh(lab.client({ user: "bob", port: 9 }), 0);
    expect(allocate(client).outcome).toBe("success");
  });
});

describe("a server that drains", () => {
  it("names the same alternates, or those that it was given for that", () => {
    const lab = new Lab();
    lab.server.setAlternates([FOUR]);
    lab.server.setDraining({});
    expect(allocate(lab.client()).message?.get(Attr.AlternateServer)).toEqual(FOUR);
    const other = { ip: "198.51.100.30", port: 3478 };
    lab.server.setDraining({ alternates: [other] });
    expect(allocate(lab.client()).message?.get(Attr.AlternateServer)).toEqual(other);
    lab.server.setDraining(undefined);
    expect(allocate(lab.client()).outcome).toBe("success");
  });
});

describe("two servers that know each other", () => {
  it("do not send a client to and fro while one of them has room", () => {
    const [first, second] = [full(), new Lab({ config: ONE_PORT, seed: 2 })];
    first.server.setAlternates([FOUR]);
    second.server.setAlternates([{ ip: "198.51.100.7", port: 3478 }]);
    expect(allocate(first.client()).outcome).toBe(300);
    expect(allocate(second.client()).outcome).toBe("success");
  });
});
