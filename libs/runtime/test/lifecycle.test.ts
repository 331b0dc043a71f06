import { Lifecycle } from "@culvert/runtime";
import { beforeEach, expect, test } from "vitest";

const told: string[] = [];
beforeEach(() => {
  told.length = 0;
});

/** A service that opens two things and then does what it is told. */
function service(finish: () => Promise<string> = async () => "info"): Lifecycle<string> {
  const life: Lifecycle<string> = new Lifecycle({
    start: async () => {
      life.onClose(() => void told.push("first closed"));
      life.onClose(async () => {
        await Promise.resolve();
        told.push("second closed");
      });
      return await finish();
    },
    drain: async () => {
      told.push("drained");
    },
    stopped: () => void told.push("stopped"),
  });
  return life;
}

test("a service drains, closes what it opened last first, and is stopped then", async () => {
  const life = service();
  expect(await life.start()).toBe("info");
  expect(life.stopping).toBe(false);
  expect(told).toEqual([]);
  const stop = life.stop();
  expect(life.stopping).toBe(true);
  await stop;
  expect(told).toEqual(["drained", "second closed", "first closed", "stopped"]);
});

test("a second stop waits for the first", async () => {
  const life = service();
  await life.start();
  await Promise.all([life.stop(), life.stop()]);
  await life.stop();
  expect(told).toEqual(["drained", "second closed", "first closed", "stopped"]);
});

test("a start that fails closes what it opened without a drain, and the stop that follows has nothing to do", async () => {
  const life = service(() => Promise.reject(new Error("taken")));
  await expect(life.start()).rejects.toThrow("taken");
  expect(told).toEqual(["second closed", "first closed", "stopped"]);
  await life.stop();
  expect(told).toEqual(["second closed", "first closed", "stopped"]);
});

test("a service that never started stops", async () => {
  await service().stop();
  expect(told).toEqual(["drained", "stopped"]);
});
