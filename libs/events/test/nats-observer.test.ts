import { createNatsBus, type NatsObserver } from "@culvert/events";
import { startNats } from "@culvert/testkit";
import { expect, it, vi } from "vitest";

/** For `vi.waitFor`: the test's own time limit is to be the one that counts. */
const PATIENCE = { timeout: 45_000, interval: 20 };

it("tells an observer of round trips, and of the way there and back", async () => {
  const server = await startNats({});
  const seen: string[] = [];
  const seconds: number[] = [];
  const observer: NatsObserver = {
    exchanged: (duration) => void seconds.push(duration),
    failed: (how) => void seen.push(how),
    connected: () => void seen.push("connected"),
    lost: () => void seen.push("lost"),
  };
  const bus = createNatsBus({ servers: [`127.0.0.1:${server.port}`], observer });
  try {
    expect(await bus.untilUp(PATIENCE.timeout)).toBe(true);
    await vi.waitFor(() => expect(seconds).not.toEqual([]), PATIENCE);
    expect(seconds[0]).toBeGreaterThan(0);
    await server.stop();
    await vi.waitFor(() => expect(seen).toEqual(["connected", "lost", "error"]), PATIENCE);
    const before = seconds.length;
    await server.start();
    await vi.waitFor(() => expect(seen.at(-1)).toBe("connected"), PATIENCE);
    await vi.waitFor(() => expect(seconds.length).toBeGreaterThan(before), PATIENCE);
  } finally {
    await bus.close();
    await server.dispose();
  }
  expect(seen).toEqual(["connected", "lost", "error", "connected", "lost"]);
});
