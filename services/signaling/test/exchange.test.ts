import { MemoryBroker } from "@culvert/events";
import { describe, expect, it } from "vitest";
import { Client, mint, rival, type Started, start } from "./support.ts";

async function twoReplicas(): Promise<[Started, Started]> {
  const broker = new MemoryBroker();
  const first = await start({}, { bus: broker.connect() });
  return [first, await start({}, { bus: broker.connect() })];
}

const sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const candidate = (index: number) => ({
  candidate: {
    candidate: `candidate:${index} 1 udp 1 192.0.2.1 ${4000 + index} typ host`,
    sdpMid: "0",
    sdpMLineIndex: 0,
  },
});

describe("peers on two replicas", () => {
  it("exchange descriptions and candidates, in order", async () => {
    const [one, two] = await twoReplicas();
    const alice = await Client.join(one.info.url, mint({ user: "alice" }));
    const bob = await Client.join(two.info.url, mint({ user: "bob" }));
    alice.send("connect.request", { attemptId: "a1" }, { to: "bob" });
    alice.send("ice.desc", { description: { type: "offer", sdp } }, { to: "bob" });
    for (let index = 0; index < 50; index++) alice.send("ice.candidate", candidate(index), { to: "bob" });
    alice.send("ice.candidate", { candidate: null }, { to: "bob" });
    await bob.next("ice.candidate", 51);
    const from = bob.of("connect.request")[0]?.from;
    expect(from).toBe(alice.hello.address);
    expect(bob.messages.filter((message) => message.seq > 0).map(({ type }) => type)).toEqual([
      "connect.request",
      "ice.desc",
      ...Array.from({ length: 51 }, () => "ice.candidate"),
    ]);
    expect(bob.of("ice.desc")[0]?.data).toEqual({ description: { type: "offer", sdp } });
    expect(bob.of("ice.candidate").map(({ data }) => data)).toEqual([
      ...Array.from({ length: 50 }, (_, index) => candidate(index)),
      { candidate: null },
    ]);
    bob.send("ice.desc", { description: { type: "answer", sdp } }, { to: from });
    expect((await alice.next("ice.desc")).from).toBe(bob.hello.address);
  });

  it("share rooms", async () => {
    const [one, two] = await twoReplicas();
    const alice = await Client.join(one.info.url, mint({ user: "alice" }));
    const bob = await Client.join(two.info.url, mint({ user: "bob" }));
    alice.send("room.join", {}, { room: "r" });
    await alice.next("room.join");
    bob.send("room.join", {}, { room: "r" });
    expect((await bob.next("room.join")).data).toMatchObject({ members: [{ peer: alice.hello.address }] });
    expect((await alice.next("room.event")).data).toEqual({ event: "join", peer: bob.hello.address });
    bob.send("room.event", { event: "message", body: "hi" }, { room: "r" });
    expect((await alice.next("room.event", 2)).data).toEqual({ event: "message", body: "hi" });
    bob.socket.close(1000);
    expect((await alice.next("room.event", 3)).data).toEqual({
      event: "leave",
      peer: bob.hello.address,
      reason: "bye",
    });
  });

  it("resume on the other replica with nothing lost, and a stolen token is refused on both", async () => {
    const [one, two] = await twoReplicas();
    const alice = await Client.join(one.info.url, mint({ user: "alice" }));
    const bob = await Client.join(two.info.url, mint({ user: "bob" }));
    bob.send("ice.restart", { attemptId: "1" }, { to: "alice" });
    await alice.next("ice.restart");
    alice.socket.terminate();
    bob.send("ice.restart", { attemptId: "2" }, { to: "alice" });
    const again = await alice.resume(two.info.url);
    expect((await again.next("hello")).data).toMatchObject({ resumed: true, gap: false, epoch: 2 });
    expect((await again.next("ice.restart")).data).toEqual({ attemptId: "2" });
    for (const { info } of [one, two]) {
      const thief = await alice.resume(info.url);
      expect(await thief.closed).toEqual({ code: 4401, reason: "resume_refused" });
    }
    expect(again.socket.readyState).toBe(again.socket.OPEN);
  });

  it("get goaway when a replica stops, and go on elsewhere", async () => {
    const broker = new MemoryBroker();
    const one = await start({ drain: { timeout: 10 } }, { bus: broker.connect() });
    const two = await start({}, { bus: broker.connect() });
    const alice = await Client.join(one.info.url, mint({ user: "alice" }));
    const bob = await Client.join(two.info.url, mint({ user: "bob" }));
    const stopped = one.service.stop();
    expect((await alice.next("goaway")).data).toEqual({ graceMs: 10_000 });
    expect(one.service.ready()).toMatchObject({ ready: false, checks: { drain: "the service stops" } });
    bob.send("ice.restart", { attemptId: "1" }, { to: "alice" });
    const again = await alice.resume(two.info.url);
    expect((await again.next("hello")).data).toMatchObject({ resumed: true, gap: false });
    expect(await alice.closed).toMatchObject({ code: 4409 });
    await stopped;
    bob.send("ice.restart", { attemptId: "2" }, { to: "alice" });
    await again.next("ice.restart", alice.of("ice.restart").length === 0 ? 2 : 1);
    expect([...alice.of("ice.restart"), ...again.of("ice.restart")].map(({ data }) => data.attemptId)).toEqual([
      "1",
      "2",
    ]);
  });

  it("stay apart across tenants", async () => {
    const [one, two] = await twoReplicas();
    const alice = await Client.join(one.info.url, mint({ user: "alice" }));
    const victim = await Client.join(two.info.url, mint({ key: rival, user: "victim" }));
    for (const to of ["victim", victim.hello.address]) alice.send("ice.restart", {}, { to });
    await alice.next("error", 2);
    expect(alice.of("error").map(({ data }) => data.code)).toEqual(["peer_unavailable", "peer_unavailable"]);
    victim.send("ping", {});
    await victim.next("pong");
    expect(victim.of("ice.restart")).toEqual([]);
  });
});
