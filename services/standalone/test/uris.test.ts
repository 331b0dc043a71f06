import { describe, expect, it } from "vitest";
import { publicHost, urisOf } from "../src/uris.ts";

const udp = { transport: "udp", ip: "192.0.2.1", port: 3478 } as const;
const tcp = { transport: "tcp", ip: "192.0.2.1", port: 3479 } as const;
const tls = { transport: "tls", ip: "192.0.2.1", port: 5349 } as const;

describe("the URIs that clients are told", () => {
  it("name every transport once, UDP first", () => {
    const second = { ...udp, port: 4000 };
    expect(urisOf([tls, tcp, udp, second], "192.0.2.1")).toEqual({
      stun: ["stun:192.0.2.1:3478"],
      turn: [
        "turn:192.0.2.1:3478?transport=udp",
        "turn:192.0.2.1:3479?transport=tcp",
        "turns:192.0.2.1:5349?transport=tcp",
      ],
    });
  });

  it("leave out what is bound to another address", () => {
    expect(urisOf([{ ...udp, ip: "192.0.2.2" }, tcp], "192.0.2.1")).toEqual({
      stun: [],
      turn: ["turn:192.0.2.1:3479?transport=tcp"],
    });
  });

  it("take what is bound to all addresses under the public name", () => {
    expect(urisOf([{ ...udp, ip: "0.0.0.0" }], "relay.example.org").turn).toEqual([
      "turn:relay.example.org:3478?transport=udp",
    ]);
  });

  it("put an IPv6 address in brackets", () => {
    expect(urisOf([{ ...udp, ip: "2001:db8::1" }], "2001:db8::1").stun).toEqual(["stun:[2001:db8::1]:3478"]);
  });
});

describe("the public host", () => {
  it("is what the configuration tells", () =>
    expect(publicHost([udp], "relay.example.org", "127.0.0.1")).toBe("relay.example.org"));
  it("is otherwise the first address that is bound", () => {
    expect(publicHost([{ ...udp, ip: "::" }, udp], undefined, "127.0.0.1")).toBe("192.0.2.1");
  });
  it("is otherwise the address that the process was told to serve", () => {
    expect(publicHost([{ ...udp, ip: "0.0.0.0" }], undefined, "192.0.2.9")).toBe("192.0.2.9");
  });
});
