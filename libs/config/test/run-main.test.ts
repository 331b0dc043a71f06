import { type Host, type Running, runMain } from "@culvert/config";
import { expect, test, vi } from "vitest";
import { z } from "zod";

const schema = z.strictObject({ realm: z.string().default("culvert").describe("The realm") });

function fakeHost(argv: readonly string[], env: Record<string, string> = {}) {
  const handlers = new Map<string, () => void>();
  const text = { out: "", err: "" };
  const exits: number[] = [];
  let onFatal: (error: unknown, origin: string) => void = () => {};
  const host: Host = {
    argv,
    env,
    out: (part) => {
      text.out += part;
    },
    err: (part) => {
      text.err += part;
    },
    on: (event, handler) => void handlers.set(event, handler),
    onFatal: (handler) => {
      onFatal = handler;
    },
    exit: (code) => void exits.push(code),
  };
  return {
    host,
    text,
    exits,
    signal: (name: string) => handlers.get(name)?.(),
    reject: (error: unknown) => onFatal(error, "unhandledRejection"),
  };
}

const idle = async (): Promise<Running> => ({ stop: async () => {} });

test("--print-config-schema prints the schema and starts nothing", async () => {
  const { host, text, exits } = fakeHost(["--print-config-schema"]);
  const start = vi.fn(idle);
  await runMain("relay", schema, start, { host });
  expect(JSON.parse(text.out)).toMatchObject({
    properties: { realm: { description: "The realm", default: "culvert" } },
  });
  expect(start).not.toHaveBeenCalled();
  expect(exits).toEqual([]);
});

test("a bad value is one line and exit 2", async () => {
  const { host, text, exits } = fakeHost([], { CULVERT_RELAY_REALN: "x" });
  await runMain("relay", schema, idle, { host });
  expect(text.err).toBe("CULVERT_RELAY_REALN: unknown variable: the nearest known one is CULVERT_RELAY_REALM\n");
  expect(exits).toEqual([2]);
});

test("an unknown option is one line and exit 2", async () => {
  const { host, text, exits } = fakeHost(["--confg", "x"]);
  await runMain("relay", schema, idle, { host });
  expect(text.err).toBe("Unknown option '--confg'\n");
  expect(exits).toEqual([2]);
});

test("an address that cannot be listened on is one line and exit 2", async () => {
  const { host, text, exits } = fakeHost([]);
  const error = Object.assign(new Error("udp 192.0.2.1:3478:\nnot on this host"), { name: "ListenError" });
  await runMain("relay", schema, () => Promise.reject(error), { host });
  expect(text.err).toBe("udp 192.0.2.1:3478: not on this host\n");
  expect(exits).toEqual([2]);
});

test("a fault of ours is one JSON line and exit 1", async () => {
  const { host, text, exits } = fakeHost([]);
  await runMain("relay", schema, () => Promise.reject(new TypeError("boom")), { host });
  expect(text.err.trimEnd()).not.toContain("\n");
  expect(JSON.parse(text.err)).toMatchObject({ level: "fatal", service: "relay", err: { message: "boom" } });
  expect(exits).toEqual([1]);
});

test("SIGTERM stops gracefully, then exit 0; a second signal exits at once", async () => {
  const { host, exits, signal } = fakeHost([]);
  let finish = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const stop = vi.fn(() => stopped);
  const done = runMain("relay", schema, async () => ({ stop }), { host });
  await Promise.resolve();
  signal("SIGTERM");
  await vi.waitFor(() => expect(stop).toHaveBeenCalledOnce());
  expect(exits).toEqual([]);
  signal("SIGINT");
  expect(exits).toEqual([130]);
  finish();
  await done;
  expect(exits).toEqual([130, 0]);
});

test("SIGHUP reloads", async () => {
  const { host, signal } = fakeHost([]);
  const reload = vi.fn();
  const done = runMain("relay", schema, async () => ({ stop: async () => {}, reload }), { host });
  await vi.waitFor(() => {
    signal("SIGHUP");
    expect(reload).toHaveBeenCalled();
  });
  signal("SIGINT");
  await done;
});

test("a rejection that nobody handled is one JSON line and exit 1", async () => {
  const { host, text, exits, signal, reject } = fakeHost([]);
  const done = runMain("relay", schema, idle, { host });
  reject(new Error("lost"));
  expect(JSON.parse(text.err)).toMatchObject({ origin: "unhandledRejection", err: { message: "lost" } });
  expect(exits).toEqual([1]);
  signal("SIGTERM");
  await done;
});
