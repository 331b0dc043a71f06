export { describeUsageLogContract, type UsageLogFixture, usageEvent } from "./usage/contract.ts";

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BusMessage, type EventBus, MAX_PAYLOAD } from "./port.ts";
import { subjectToken } from "./subject.ts";

/** One broker under test. */
export interface EventBusFixture {
  /** A new connection to the broker; connections hear each other. */
  connect(): Promise<EventBus>;
  /** Cuts one connection off from the broker (`false`), or joins it again. */
  setConnected(bus: EventBus, connected: boolean): Promise<void>;
  dispose(): Promise<void>;
}

const utf8 = new TextEncoder();
const bytes = (text: string): Uint8Array => utf8.encode(text);
const text = (message: BusMessage): string => new TextDecoder().decode(message.data);

/** Collects what a subscription gets, and waits for a number of messages. */
class Recorder {
  readonly messages: BusMessage[] = [];
  #waiting: (() => void)[] = [];

  readonly handler = (message: BusMessage): void => {
    this.messages.push(message);
    for (const wake of this.#waiting.splice(0)) wake();
  };

  get texts(): string[] {
    return this.messages.map(text);
  }

  async count(wanted: number): Promise<void> {
    while (this.messages.length < wanted) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** What every implementation of {@link EventBus} does. Run it inside a vitest file. */
export function describeEventBusContract(name: string, create: () => Promise<EventBusFixture>): void {
  describe(`EventBus contract: ${name}`, () => {
    let fixture: EventBusFixture;
    let a: EventBus;
    let b: EventBus;

    beforeEach(async () => {
      fixture = await create();
      a = await fixture.connect();
      b = await fixture.connect();
    });

    afterEach(async () => {
      await a.close();
      await b.close();
      await fixture.dispose();
    });

    /** Publishes a last message and waits until `recorder` has it: all before it is there too. */
    const barrier = async (bus: EventBus, subject: string, recorder: Recorder): Promise<void> => {
      const mark = `end ${Math.random()}`;
      bus.publish(subject, bytes(mark));
      while (!recorder.texts.includes(mark)) await recorder.count(recorder.messages.length + 1);
    };

    it("delivers to other connections and to the own one, with subject, data and headers", async () => {
      const own = new Recorder();
      const other = new Recorder();
      await a.subscribe("one.two", own.handler);
      await b.subscribe("one.two", other.handler);
      a.publish("one.two", bytes("hello"), { "Trace-Id": "7" });
      await Promise.all([own.count(1), other.count(1)]);
      for (const recorder of [own, other]) {
        expect(recorder.texts).toEqual(["hello"]);
        expect(recorder.messages[0]?.subject).toBe("one.two");
        expect(recorder.messages[0]?.headers["Trace-Id"]).toBe("7");
        expect(recorder.messages[0]?.respond).toBeUndefined();
      }
    });

    it.each([
      { pattern: "a.*", yes: ["a.b", "a.c"], no: ["a", "a.b.c", "b.a"] },
      { pattern: "a.*.c", yes: ["a.b.c", "a.x.c"], no: ["a.c", "a.b.d", "a.b.c.d"] },
      { pattern: "a.>", yes: ["a.b", "a.b.c"], no: ["a", "b.a"] },
      { pattern: "*.b", yes: ["a.b", "x.b"], no: ["b", "a.b.b"] },
      { pattern: "a.b", yes: ["a.b"], no: ["a", "a.b.c", "a.B"] },
    ])("routes $pattern as NATS does", async ({ pattern, yes, no }) => {
      const recorder = new Recorder();
      const end = new Recorder();
      await b.subscribe(pattern, recorder.handler);
      await b.subscribe("the.end.of.it", end.handler);
      for (const subject of [...no, ...yes]) a.publish(subject, bytes(subject));
      await barrier(a, "the.end.of.it", end);
      await recorder.count(yes.length);
      expect(recorder.texts.toSorted()).toEqual(yes.toSorted());
    });

    it("keeps the order of one publisher, over several subjects of one subscription", async () => {
      const recorder = new Recorder();
      await b.subscribe("order.>", recorder.handler);
      const sent = Array.from({ length: 500 }, (_, index) => `${index}`);
      for (const [index, value] of sent.entries()) a.publish(`order.${index % 3}`, bytes(value));
      await recorder.count(sent.length);
      expect(recorder.texts).toEqual(sent);
    });

    it("gives each message of a queue to exactly one of its members", async () => {
      const c = await fixture.connect();
      const first = new Recorder();
      const second = new Recorder();
      const plain = new Recorder();
      await b.subscribe("work", first.handler, { queue: "workers" });
      await c.subscribe("work", second.handler, { queue: "workers" });
      await b.subscribe("work", plain.handler);
      for (let index = 0; index < 60; index++) a.publish("work", bytes(`${index}`));
      await plain.count(60);
      while (first.messages.length + second.messages.length < 60) {
        await Promise.race([first.count(first.messages.length + 1), second.count(second.messages.length + 1)]);
      }
      expect(new Set([...first.texts, ...second.texts]).size).toBe(60);
      expect(first.messages.length + second.messages.length).toBe(60);
      await c.close();
    });

    it("lets publisher and subscribers do what they like with the bytes", async () => {
      const seen: string[] = [];
      const scribble = (message: BusMessage): void => {
        seen.push(text(message));
        message.data.fill(0);
      };
      const last = new Recorder();
      await b.subscribe("bytes", scribble);
      await b.subscribe("bytes", scribble);
      await b.subscribe("bytes", last.handler);
      for (const data of [bytes("precious"), Buffer.from("precious")]) {
        a.publish("bytes", data);
        data.fill(0);
      }
      await last.count(2);
      expect(seen).toEqual(["precious", "precious", "precious", "precious"]);
      expect(last.texts).toEqual(["precious", "precious"]);
    });

    it("stops at unsubscribe, and only that subscription", async () => {
      const ended = new Recorder();
      const staying = new Recorder();
      const subscription = await b.subscribe("stop", ended.handler);
      await b.subscribe("stop", staying.handler);
      subscription.unsubscribe();
      subscription.unsubscribe();
      a.publish("stop", bytes("x"));
      await staying.count(1);
      expect(ended.messages).toEqual([]);
    });

    it("keeps names from outside inert when they go through subjectToken", async () => {
      const names = ["", "a.b", "*", ">", "a b", "a\0b", "a\r\nPUB x 1", "ä.>", "%n", "a"];
      const victim = new Recorder();
      await b.subscribe(`rooms.${subjectToken("victim")}.x`, victim.handler);
      const recorders = new Map<string, Recorder>();
      for (const name of names) {
        const recorder = new Recorder();
        recorders.set(name, recorder);
        await b.subscribe(`rooms.${subjectToken(name)}.x`, recorder.handler);
      }
      for (const name of names) a.publish(`rooms.${subjectToken(name)}.x`, bytes(name));
      for (const [name, recorder] of recorders) {
        await recorder.count(1);
        expect(recorder.texts).toEqual([name]);
      }
      expect(victim.messages).toEqual([]);
    });

    it.each(["", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "a\0", "ä", "a\r\n", "x".repeat(1025)])(
      "refuses to publish under %j",
      (subject) => {
        expect(() => a.publish(subject, bytes("x"))).toThrowError(expect.objectContaining({ code: "bad-subject" }));
      },
    );

    it.each(["", "a.", "a..b", "a b", ">.a", "a.>.b", "a*", "a.b>", "a\0"])(
      "refuses to subscribe to %j",
      async (pattern) => {
        await expect(a.subscribe(pattern, () => {})).rejects.toMatchObject({ code: "bad-subject" });
      },
    );

    it("refuses headers that would break a header block, and payloads over the limit", async () => {
      for (const headers of [{ "a b": "x" }, { "": "x" }, { a: "x\r\ny: z" }, { a: "x\0" }]) {
        expect(() => a.publish("h", bytes("x"), headers)).toThrowError(expect.objectContaining({ code: "bad-header" }));
      }
      expect(() => a.publish("h", new Uint8Array(MAX_PAYLOAD + 1))).toThrowError(
        expect.objectContaining({ code: "payload-too-large" }),
      );
      const recorder = new Recorder();
      await b.subscribe("h", recorder.handler);
      a.publish("h", new Uint8Array(0));
      a.publish("h", new Uint8Array(MAX_PAYLOAD - 512));
      await recorder.count(2);
      expect(recorder.messages.map((message) => message.data.length)).toEqual([0, MAX_PAYLOAD - 512]);
    });

    it("answers a request", async () => {
      await b.subscribe("ask.*", (message) => message.respond?.(bytes(`${text(message)}!`), { kind: "answer" }));
      const answer = await a.request("ask.me", bytes("what"), { headers: { q: "1" }, timeoutMs: 60_000 });
      expect(text(answer)).toBe("what!");
      expect(answer.headers.kind).toBe("answer");
    });

    it("says at once when nobody could answer, and times out when nobody does", async () => {
      await expect(a.request("nobody.there", bytes("x"), { timeoutMs: 60_000 })).rejects.toMatchObject({
        code: "no-responders",
      });
      await b.subscribe("mute", () => {});
      await expect(a.request("mute", bytes("x"), { timeoutMs: 20 })).rejects.toMatchObject({ code: "timeout" });
    });

    it("reports what handlers throw and goes on", async () => {
      const errors: unknown[] = [];
      const recorder = new Recorder();
      b.onError((error) => errors.push(error));
      await b.subscribe("throw", (message) => {
        if (text(message) === "sync") throw new Error("sync");
      });
      await b.subscribe("throw", async (message) => {
        if (text(message) === "async") throw new Error("async");
      });
      await b.subscribe("throw", recorder.handler);
      for (const value of ["sync", "async", "fine"]) a.publish("throw", bytes(value));
      await recorder.count(3);
      expect(errors.map((error) => (error instanceof Error ? error.message : error))).toEqual(["sync", "async"]);
    });

    it("is up, goes down when cut off, loses what happens meanwhile, and comes back with its subscriptions", async () => {
      expect(b.health()).toEqual({ up: true });
      const changes: boolean[] = [];
      b.onHealthChange((health) => changes.push(health.up));
      const recorder = new Recorder();
      await b.subscribe("cut", recorder.handler);
      await fixture.setConnected(b, false);
      expect(b.health()).toMatchObject({ up: false, reason: expect.any(String) });
      await expect(b.request("cut", bytes("x"))).rejects.toMatchObject({ code: "disconnected" });
      a.publish("cut", bytes("lost"));
      await a.flush();
      await fixture.setConnected(b, true);
      a.publish("cut", bytes("found"));
      await recorder.count(1);
      expect(recorder.texts).toEqual(["found"]);
      expect(changes).toEqual([false, true]);
      expect(b.health()).toEqual({ up: true });
    });

    it("takes subscriptions while it is cut off, and they are in effect once it is back", async () => {
      const recorder = new Recorder();
      const ended = new Recorder();
      await fixture.setConnected(b, false);
      await b.subscribe("later", recorder.handler);
      (await b.subscribe("later", ended.handler)).unsubscribe();
      await fixture.setConnected(b, true);
      a.publish("later", bytes("found"));
      await recorder.count(1);
      expect(recorder.texts).toEqual(["found"]);
      expect(ended.messages).toEqual([]);
    });

    it("flush resolves once what was published is out", async () => {
      const recorder = new Recorder();
      await a.subscribe("flush", recorder.handler);
      for (let index = 0; index < 10; index++) a.publish("flush", bytes(`${index}`));
      await a.flush();
      await recorder.count(10);
    });

    it("after close refuses everything, delivers nothing, and fails what was waiting", async () => {
      const recorder = new Recorder();
      const still = new Recorder();
      await a.subscribe("closed", recorder.handler);
      await b.subscribe("closed", still.handler);
      await b.subscribe("mute", () => {});
      const waiting = expect(a.request("mute", bytes("x"), { timeoutMs: 60_000 })).rejects.toMatchObject({
        code: "closed",
      });
      await a.close();
      await a.close();
      await waiting;
      expect(a.health().up).toBe(false);
      expect(() => a.publish("closed", bytes("x"))).toThrowError(expect.objectContaining({ code: "closed" }));
      await expect(a.subscribe("closed", () => {})).rejects.toMatchObject({ code: "closed" });
      await expect(a.request("closed", bytes("x"))).rejects.toMatchObject({ code: "closed" });
      b.publish("closed", bytes("x"));
      await still.count(1);
      expect(recorder.messages).toEqual([]);
    });
  });
}
