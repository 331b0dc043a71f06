import { createAddressHasher, createLogger, hashAddress } from "@culvert/telemetry";
import { expect, test } from "vitest";

function capture() {
  const lines: string[] = [];
  return { lines, destination: { write: (line: string) => void lines.push(line) } };
}

test("a line is one JSON object with service, level, time and message", () => {
  const { lines, destination } = capture();
  createLogger({ service: "relay", destination }).info({ port: 3478 }, "listening\nhere");
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd()).not.toContain("\n");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    service: "relay",
    level: "info",
    port: 3478,
    msg: "listening\nhere",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  });
});

test("secrets are redacted at every depth that is logged", () => {
  const { lines, destination } = capture();
  const logger = createLogger({ service: "relay", destination });
  logger.info({ password: "hunter2" }, "top");
  logger.info({ user: { username: "hunter2", token: "hunter2" } }, "nested");
  logger.info({ req: { headers: { authorization: "Bearer hunter2" } } }, "deep");
  logger.info({ config: { auth: { users: [{ secret: "hunter2" }] } } }, "in a list");
  logger.child({ credential: "hunter2" }).info("bound");
  logger
    .child({})
    .child({ user: { token: "hunter2" } })
    .info({ secret: "hunter2" }, "bound to a child's child");
  expect(lines).toHaveLength(6);
  expect(lines.join("")).not.toContain("hunter2");
  expect(lines[0]).toContain("[redacted]");
});

test("what an error holds is redacted too, and it tells what it is", () => {
  const { lines, destination } = capture();
  const logger = createLogger({ service: "relay", destination });
  const error = Object.assign(new TypeError("refused"), { options: { password: "hunter2" } });
  logger.warn({ err: error }, "with a message");
  logger.warn(error);
  logger.warn({ request: { cause: error } }, "within");
  expect(lines.join("")).not.toContain("hunter2");
  const told = { type: "TypeError", message: "refused", stack: expect.stringContaining("logger.test") };
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ err: told, msg: "with a message" });
  expect(JSON.parse(lines[1] ?? "")).toMatchObject({ err: told, msg: "refused" });
  expect(JSON.parse(lines[2] ?? "")).toMatchObject({ request: { cause: told } });
});

test("what says itself how it is written is left to it", () => {
  const { lines, destination } = capture();
  createLogger({ service: "relay", destination }).info(
    { at: new Date(0), url: new URL("turn:example.org") },
    "as text",
  );
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ at: "1970-01-01T00:00:00.000Z", url: "turn:example.org" });
});

test("the level is obeyed", () => {
  const { lines, destination } = capture();
  const logger = createLogger({ service: "relay", level: "warn", destination });
  logger.info("no");
  logger.warn("yes");
  expect(lines).toHaveLength(1);
});

test("a pretty line reads as text", () => {
  const { lines, destination } = capture();
  createLogger({ service: "relay", destination, pretty: true }).info({ port: 1 }, "hello");
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {2}relay: hello port=1\n$/);
});

test("nothing that is logged ends a line, pretty or not, or moves the cursor", () => {
  for (const pretty of [false, true]) {
    const { lines, destination } = capture();
    const logger = createLogger({ service: "relay", destination, pretty });
    const hostile = "a\r\n12:00:00.000 fatal relay: forged\u001b[2J\u0085\u2028\u202e";
    logger.info({ user: hostile, nested: { user: hostile }, [hostile]: 1 }, hostile);
    expect(lines).toHaveLength(1);
    const [line = ""] = lines;
    expect(line.endsWith("\n")).toBe(true);
    expect([...line.slice(0, -1)].filter((character) => character < " ")).toEqual([]);
    if (!pretty) {
      expect(JSON.parse(line)).toMatchObject({ user: hostile, msg: hostile });
      continue;
    }
    expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(line).toContain("a\\u000d\\u000a12:00");
  }
});

test("a hashed address is stable, differs between addresses and holds no address", () => {
  expect(hashAddress("192.0.2.1")).toBe(hashAddress("192.0.2.1"));
  expect(hashAddress("192.0.2.1")).not.toBe(hashAddress("192.0.2.2"));
  expect(hashAddress("192.0.2.1")).not.toContain("192");
  const key = new Uint8Array(32).fill(1);
  expect(createAddressHasher(key)("::1")).toBe(createAddressHasher(key)("::1"));
});
