import { WRITE_BEHIND_LIMITS, WriteBehind } from "@culvert/fleet";
import { expect, test } from "vitest";

const LIMITS = { ...WRITE_BEHIND_LIMITS, delayMs: 50, batch: 3, retryMs: 100, maxRetryMs: 400, deletions: 2 };
const put = (key: number) => ({ kind: "put", key });
const gone = (key: number) => ({ kind: "delete", key, gone: `gone ${key}` });

function queue(): WriteBehind<string> {
  return new WriteBehind<string>(LIMITS);
}

test("changes of one allocation are one write, after a moment", () => {
  const it = queue();
  for (const now of [0, 10, 20]) it.changed(1, now);
  expect(it.due()).toBe(50);
  expect(it.take(49)).toEqual([]);
  expect(it.take(50)).toEqual([put(1)]);
});

test("one batch is under way at a time, the next one holds what changed meanwhile", () => {
  const it = queue();
  for (const key of [1, 2, 3, 4]) it.changed(key, 0);
  expect(it.take(50)).toEqual([put(1), put(2), put(3)]);
  it.changed(1, 60);
  expect(it.due()).toBeUndefined();
  expect(it.take(1_000)).toEqual([]);
  it.written();
  expect(it.take(110)).toEqual([put(4), put(1)]);
});

test("a deletion takes the place of what was to be written", () => {
  const it = queue();
  it.changed(1, 0);
  it.deleted(1, "gone 1", 10);
  expect(it.take(60)).toEqual([gone(1)]);
  it.written();
  expect(it.size).toBe(0);
});

test("what the store did not take is written again, later and later, as it is by then", () => {
  const it = queue();
  it.changed(1, 0);
  it.changed(2, 0);
  it.take(50);
  it.deleted(2, "gone 2", 60);
  it.failed(100);
  expect(it.due()).toBe(200);
  expect(it.take(200)).toEqual([gone(2), put(1)]);
  it.failed(200);
  expect(it.due()).toBe(400);
  it.take(400);
  it.failed(400);
  it.take(800);
  it.failed(800);
  expect(it.due()).toBe(1200);
  it.hurry();
  expect(it.take(900)).toHaveLength(2);
});

test("deletions beyond the limit are left to the records' expiry, and counted", () => {
  const it = queue();
  for (const key of [1, 2, 3]) it.deleted(key, `gone ${key}`, 0);
  expect(it.dropped).toBe(1);
  expect(it.take(50)).toEqual([gone(2), gone(3)]);
});

test("in a hurry nothing waits for company", () => {
  const it = queue();
  it.changed(1, 0);
  expect(it.take(1, { hurry: true })).toEqual([put(1)]);
});

test("nothing is written of what another relay owns", () => {
  const it = queue();
  it.changed(1, 0);
  it.deleted(2, "gone 2", 0);
  it.forget(1);
  it.forget(2);
  expect(it.due()).toBeUndefined();
});
