import { Wait } from "@culvert/runtime";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a wait ends when it is told to, and leaves no timer", async () => {
  const wait = new Wait();
  const over = wait.atMost(1000);
  expect(vi.getTimerCount()).toBe(1);
  wait.end();
  await over;
  expect(vi.getTimerCount()).toBe(0);
});

test("a wait ends with its time", async () => {
  let over = false;
  void new Wait().atMost(1000).then(() => {
    over = true;
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(over).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(over).toBe(true);
});
