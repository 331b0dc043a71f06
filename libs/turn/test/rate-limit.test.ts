import { Method } from "@culvert/stun";
import { describe, expect, it } from "vitest";
import { Lab, UDP6 } from "./support/lab.ts";
import { allocate, UDP_TRANSPORT } from "./support/requests.ts";

const limits = { unauthenticatedPerSecond: 2, unauthenticatedBurst: 4 };
const answers = (client: ReturnType<Lab["client"]>, count: number): number => {
  let answered = 0;
  for (let index = 0; index < count; index++) {
    if (client.send(client.session.bare(Method.Allocate)) !== undefined) answered++;
  }
  return answered;
};

describe("answers to those who are not authenticated", () => {
  it("are limited for one IPv4 address, whatever the port", () => {
    const lab = new Lab({ config: { limits } });
    expect(answers(lab.client({ port: 1 }), 3)).toBe(3);
    expect(answers(lab.client({ port: 2 }), 3)).toBe(1);
    expect(lab.drops()).toEqual(["rate-limited", "rate-limited"]);
    expect(answers(lab.client({ ip: "8.8.1.2" }), 3)).toBe(3);
    lab.advance(1000);
    expect(answers(lab.client({ port: 3 }), 5)).toBe(2);
  });

  it("are limited for one IPv6 /64", () => {
    const lab = new Lab({ config: { limits } });
    expect(answers(lab.client({ listener: UDP6, ip: "2600:0:0:1::1" }), 4)).toBe(4);
    expect(answers(lab.client({ listener: UDP6, ip: "2600::1:ffff:0:0:9" }), 4)).toBe(0);
    expect(answers(lab.client({ listener: UDP6, ip: "2600:0:0:2::1" }), 4)).toBe(4);
  });

  it("are limited for stale nonces and wrong passwords, too: brute force is slow", () => {
    const lab = new Lab({ config: { limits } });
    const client = lab.client();
    client.challenge();
    const outcomes = Array.from(
      { length: 6 },
      (_, index) => allocate(client, [], index % 2 === 0 ? { password: `guess ${index}` } : { nonce: "stale" }).outcome,
    );
    expect(outcomes).toEqual([401, 438, 401, "none", "none", "none"]);
    expect(lab.events("auth-failed")).toHaveLength(7);
  });

  it("do not slow down those who are authenticated at the same address", () => {
    const lab = new Lab({ config: { limits } });
    const client = lab.client();
    client.challenge();
    answers(lab.client({ port: 9 }), 100);
    expect(allocate(client).outcome).toBe("success");
  });

  it("are never much longer than what they answer", () => {
    const client = new Lab({ config: { software: "culvert/1.0" } }).client();
    const request = client.session.bare(Method.Allocate, [UDP_TRANSPORT]);
    const response = client.send(request);
    expect((response?.bytes.length ?? 0) / request.length).toBeLessThan(5);
  });
});

describe("spoofed sources", () => {
  it("leave no state behind: memory stays where it is", () => {
    const lab = new Lab({ config: { limits } });
    const client = lab.client();
    const bytes = client.session.bare(Method.Allocate, [UDP_TRANSPORT]);
    for (let index = 0; index < 20_000; index++) {
      const remote = { ip: `${1 + (index % 200)}.${(index >> 4) & 255}.${index & 255}.9`, port: index };
      lab.server.handleClientInput({ listener: 1, remote }, bytes.slice(), lab.now);
      while (lab.server.pollOutput() !== undefined);
    }
    expect(lab.server.size).toBe(0);
    expect(lab.server.pollTimeout()).toBeUndefined();
  });
});
