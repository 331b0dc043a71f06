import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test, vi } from "vitest";
import { later } from "./harness.ts";
import { PROCESS_TEST_MS, RELAY_COMMAND, runRelay } from "./relay-process.ts";

vi.setConfig({ testTimeout: PROCESS_TEST_MS });

const QUIET: Readonly<Record<string, string>> = {
  CULVERT_RELAY_LISTENERS: "[{transport: udp, ip: 127.0.0.1, port: 0}]",
  CULVERT_RELAY_ADDRESSES: "127.0.0.1",
  // Above what the kernel picks for port 0.
  CULVERT_RELAY_PORTS_MIN: "61000",
  CULVERT_RELAY_AUTH_USERS: "[{username: alice, password: hunter2}]",
  CULVERT_RELAY_OPS_PORT: "0",
};

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const [program, ...words] = RELAY_COMMAND;
  const child = spawn(program, [...words, ...args], { env: { PATH: process.env.PATH ?? "", ...env } });
  const text = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    text.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    text.err += chunk;
  });
  later(() => child.kill("SIGKILL"));
  return { text, exit: once(child, "close").then(([code]) => code) };
}

test("--print-config-schema prints the JSON schema of the section", async () => {
  const { text, exit } = run(["--print-config-schema"]);
  expect(await exit).toBe(0);
  expect(JSON.parse(text.out)).toMatchObject({
    properties: { ports: { properties: { min: { coturn: ["min-port"], default: 49_152 } } } },
  });
});

test("a bad value ends it with one line and 2, without the secrets", async () => {
  const { text, exit } = run([], { ...QUIET, CULVERT_RELAY_PORTS_MIN: "0" });
  expect(await exit).toBe(2);
  expect(text.err).toBe("relay.ports.min: 0: must be 1 to 65535 (CULVERT_RELAY_PORTS_MIN)\n");
});

test("it serves until SIGTERM, then exits with 0; an address that is taken ends another with one line and 2", async () => {
  const first = await runRelay(QUIET);
  const second = run([], { ...QUIET, CULVERT_RELAY_LISTENERS: JSON.stringify(first.listeners) });
  expect(await second.exit).toBe(2);
  expect(second.text.err).toMatch(/^listen udp 127\.0\.0\.1:\d+: the address is in use\n$/);
  first.child.kill("SIGTERM");
  expect(await first.exit).toBe(0);
  expect(first.text.out).not.toContain("hunter2");
});
