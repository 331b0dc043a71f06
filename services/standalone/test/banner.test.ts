import { expect, test } from "vitest";
import { banner, commandOf } from "../src/ready.ts";

const READY = {
  apiUrl: "http://127.0.0.1:8080",
  keyId: "local",
  token: "token-of-the-api",
  realm: "culvert",
  iceServers: [{ urls: ["stun:127.0.0.1:3478"] }],
  turn: { host: "127.0.0.1", port: 3478 },
  signalingUrl: "ws://127.0.0.1:8081/v1/signaling",
  admin: { endpoint: "127.0.0.1:9191", token: "token-of-operators" },
  opsUrls: {},
};

test("says how to see the relay and its allocations, in words to copy", () => {
  expect(banner(READY, { command: "culvert", inMemory: true })).toContain(
    "\n  culvert allocations --endpoint 127.0.0.1:9191 --token token-of-operators\n",
  );
  const { admin: _, ...withoutAdmin } = READY;
  expect(banner(withoutAdmin, { command: "culvert", inMemory: true })).not.toContain("allocations");
  const admin = { endpoint: "127.0.0.1:9191" };
  expect(banner({ ...READY, admin }, { command: "culvert", inMemory: true })).not.toContain("--token");
});

test("says where state is only where it is in memory", () => {
  expect(banner(READY, { command: "culvert", inMemory: true })).toMatch(/^Culvert is up\. State is in memory/);
  expect(banner(READY, { command: "culvert", inMemory: false })).toMatch(/^Culvert is up\.\n/);
});

test.each([
  ["/opt/culvert/cli/bin/culvert.js", "/opt/culvert", "node cli/bin/culvert.js"],
  ["/opt/culvert/cli/bin/culvert.js", "/home/me", "node /opt/culvert/cli/bin/culvert.js"],
  ["/usr/local/bin/culvert", "/home/me", "culvert"],
  ["/opt/my culvert/bin/culvert.js", "/home/me", "node '/opt/my culvert/bin/culvert.js'"],
])("a script %s that was started in %s is called by %s", (script, folder, command) => {
  expect(commandOf(script, folder)).toBe(command);
});
