import { parseIp } from "@culvert/stun";
import { parsePeerPolicy } from "@culvert/turn";
import { expect, test } from "vitest";

function allowed(ip: string, dangerouslyAllow: readonly string[]): boolean {
  const result = parsePeerPolicy({ dangerouslyAllow });
  const bytes = parseIp(ip);
  return result.ok && bytes !== undefined && result.policy.judge(bytes).allowed;
}

test("::1 is loopback and nothing else: it opens by its own name", () => {
  expect(allowed("::1", [])).toBe(false);
  expect(allowed("::1", ["127.0.0.0/8"])).toBe(false);
  expect(allowed("::1", ["::1/128"])).toBe(true);
});

test("an IPv4-compatible address needs the IPv4 address inside to be open too", () => {
  expect(allowed("::127.0.0.1", ["::/96"])).toBe(false);
  expect(allowed("::127.0.0.1", ["::/96", "127.0.0.0/8"])).toBe(true);
});
