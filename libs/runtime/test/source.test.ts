import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { SourceCounter, Sources, sourceKey } from "@culvert/runtime";
import { expect, test } from "vitest";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:201", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::", "2001:db8:1:2::/64"],
  ["2001:DB8:0:0::9", "2001:db8::/64"],
  ["fe80::1%eth0", "fe80::/64"],
  ["::1", "::/64"],
  ["", ""],
  ["nobody", "nobody"],
])("%s counts as %s", (ip, source) => {
  expect(sourceKey(ip)).toBe(source);
});

test("a source holds as many as it may, and again what it gave back", () => {
  const counter = new SourceCounter(2);
  expect([counter.add("a"), counter.add("a"), counter.add("a"), counter.add("b")]).toEqual([true, true, false, true]);
  counter.remove("a");
  expect([counter.add("a"), counter.add("a")]).toEqual([true, false]);
});

const sources = new Sources(["10.0.0.0/8", "fd00::/8", "192.0.2.7"]);

function request(remoteAddress: string, forwarded?: string): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, "remoteAddress", { value: remoteAddress });
  const message = new IncomingMessage(socket);
  if (forwarded !== undefined) message.headers["x-forwarded-for"] = forwarded;
  return message;
}

test.each([
  ["10.1.2.3", true],
  ["::ffff:10.1.2.3", true],
  ["fd12::1", true],
  ["192.0.2.7", true],
  ["192.0.2.8", false],
  ["2001:db8::1", false],
  ["", false],
])("whether %s is trusted: %s", (ip, trusted) => {
  expect(sources.isTrusted(ip)).toBe(trusted);
});

test.each([
  ["203.0.113.9", "198.51.100.1", "203.0.113.9"],
  ["10.0.0.1", "198.51.100.1", "198.51.100.1"],
  ["::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"],
  ["10.0.0.1", "192.0.2.99, 198.51.100.1, 10.0.0.2", "198.51.100.1"],
  ["10.0.0.1", "nonsense", "10.0.0.1"],
  ["10.0.0.1", undefined, "10.0.0.1"],
])("from %s with X-Forwarded-For %s comes %s", (remote, forwarded, source) => {
  expect(sources.of(request(remote, forwarded))).toBe(source);
});
