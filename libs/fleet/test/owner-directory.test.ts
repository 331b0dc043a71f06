import { DIRECTORY_LIMITS, OwnerDirectory } from "@culvert/fleet";
import { expect, test } from "vitest";

const OWNER = { identity: "b", slot: "192.0.2.1/50000-50099" };
const LIMITS = { ...DIRECTORY_LIMITS, entries: 3, lookups: 2, waiting: 2 };

function directory(mayAsk: (ip: string) => boolean = () => true): OwnerDirectory<string> {
  return new OwnerDirectory<string>(mayAsk, LIMITS);
}

test("the first packets of a 5-tuple wait for one look-up, and go where it says", () => {
  const it = directory();
  expect(it.route("t", "192.0.2.9", "one", 0)).toEqual({ to: "wait", ask: true });
  expect(it.route("t", "192.0.2.9", "two", 1)).toEqual({ to: "wait", ask: false });
  expect(it.route("t", "192.0.2.9", "three", 2)).toEqual({ to: "drop", reason: "queue-full" });
  expect(it.answer("t", OWNER, 3)).toEqual({ packets: ["one", "two"], owner: OWNER });
  expect(it.route("t", "192.0.2.9", "four", 4)).toEqual({ to: "owner", owner: OWNER, ask: false });
});

test("a source without look-ups left is not answered for, and one look-up too many waits for nobody", () => {
  const it = directory((ip) => ip !== "192.0.2.66");
  expect(it.route("t", "192.0.2.66", "p", 0)).toEqual({ to: "drop", reason: "limited" });
  it.route("t1", "192.0.2.9", "p", 0);
  it.route("t2", "192.0.2.9", "p", 0);
  expect(it.route("t3", "192.0.2.9", "p", 0)).toEqual({ to: "drop", reason: "busy" });
});

test("that nobody has it is believed for a moment only", () => {
  const it = directory();
  it.route("t", "192.0.2.9", "p", 0);
  expect(it.answer("t", undefined, 0)).toEqual({ packets: ["p"], owner: undefined });
  expect(it.route("t", "192.0.2.9", "p", LIMITS.absentMs - 1)).toEqual({ to: "here" });
  expect(it.route("t", "192.0.2.9", "p", LIMITS.absentMs)).toEqual({ to: "wait", ask: true });
});

test("an owner that was believed long enough is asked for again while packets go on", () => {
  const it = directory();
  it.learn("t", OWNER, 0);
  const later = LIMITS.believeMs;
  expect(it.route("t", "192.0.2.9", "p", later)).toEqual({ to: "owner", owner: OWNER, ask: true });
  expect(it.route("t", "192.0.2.9", "p", later)).toEqual({ to: "owner", owner: OWNER, ask: false });
  const next = { ...OWNER, identity: "c" };
  it.answer("t", next, later);
  expect(it.route("t", "192.0.2.9", "p", later)).toEqual({ to: "owner", owner: next, ask: false });
});

test("without an answer of the store what was known holds, and what was not known is dropped", () => {
  const it = directory();
  it.learn("t", OWNER, 0);
  it.route("t", "192.0.2.9", "p", LIMITS.believeMs);
  expect(it.fail("t", LIMITS.believeMs).owner).toEqual(OWNER);
  expect(it.route("t", "192.0.2.9", "p", LIMITS.believeMs)).toMatchObject({ to: "owner", ask: false });
  it.route("u", "192.0.2.9", "p", 0);
  expect(it.fail("u", 0)).toEqual({ packets: ["p"], owner: undefined });
  expect(it.route("u", "192.0.2.9", "p", 0)).toEqual({ to: "wait", ask: true });
});

test("what is forgotten is asked for again: a 5-tuple, a slot's, a relay's", () => {
  const it = directory();
  it.learn("t", OWNER, 0);
  it.learn("u", { ...OWNER, identity: "c" }, 0);
  it.learn("v", { identity: "c", slot: "192.0.2.2/50000-50099" }, 0);
  expect(it.forgetSlot(OWNER.slot)).toEqual(["t", "u"]);
  expect(it.forgetRelay("c")).toEqual(["v"]);
  expect(it.size).toBe(0);
});

test("no more 5-tuples are remembered than allowed, and those in use longest", () => {
  const it = directory();
  for (const tuple of ["t", "u", "v"]) it.learn(tuple, OWNER, 0);
  it.route("t", "192.0.2.9", "p", 1);
  it.learn("w", OWNER, 2);
  expect(it.size).toBe(3);
  expect(it.route("t", "192.0.2.9", "p", 3).to).toBe("owner");
  expect(it.route("u", "192.0.2.9", "p", 3).to).toBe("wait");
});
