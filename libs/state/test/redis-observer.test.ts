import { createRedisFleetStore, type RedisObserver } from "@culvert/state";
import { startRedis } from "@culvert/testkit";
import { expect, test, vi } from "vitest";

test("an observer is told how long answers took, what failed and how, and of the way there and back", async () => {
  const server = await startRedis({});
  const seen: string[] = [];
  const seconds: number[] = [];
  const observer: RedisObserver = {
    exchanged: (duration) => void seconds.push(duration),
    failed: (how) => void seen.push(how),
    connected: () => void seen.push("connected"),
    lost: () => void seen.push("lost"),
  };
  const store = createRedisFleetStore({
    server: { kind: "standalone", host: "127.0.0.1", port: server.port },
    database: 0,
    prefix: "culvert",
    commandTimeoutMs: 2000,
    observer,
  });
  try {
    expect(await store.untilUp(15_000)).toBe(true);
    await store.time();
    expect(seconds).toHaveLength(1);
    expect(seconds[0]).toBeGreaterThan(0);
    server.signal("SIGSTOP");
    await expect(store.time()).rejects.toThrow();
    await expect(store.time()).rejects.toThrow();
    // The socket's own time-out may be the first to notice.
    expect(seen.filter((what) => what !== "timeout" && what !== "error")).toEqual(["connected", "lost", "down"]);
    expect(seen).toHaveLength(4);
    server.signal("SIGCONT");
    await vi.waitFor(() => expect(seen.at(-1)).toBe("connected"), { timeout: 30_000 });
    expect(seconds).toHaveLength(1);
  } finally {
    await store.close();
    await server.dispose();
  }
});
