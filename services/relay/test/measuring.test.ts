import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { parseKernelUdp } from "../src/adapters/kernel-udp.ts";
import { startRelay } from "./harness.ts";

it("tells challenges from refusals, and how long answers took", async () => {
  const relay = await startRelay();
  const client = await relay.connect("udp");
  await client.allocate();
  const bad = await relay.connect("udp", { password: "guessed" });
  await expect(bad.allocate()).rejects.toThrow();
  const requests = (labels: Record<string, string>) => relay.metric("culvert_relay_requests_total", labels);
  expect(await requests({ code: "401", result: "challenge" })).toBe(2);
  expect(await requests({ code: "401", result: "refused" })).toBe(1);
  expect(await requests({ code: "success", result: "success" })).toBe(1);
  const durations = (suffix: string) =>
    relay.metric(`culvert_relay_request_duration_seconds_${suffix}`, { method: "Allocate" });
  expect(await durations("count")).toBe(2);
  expect(await durations("sum")).toBeGreaterThan(0);
});

it("shows what there is room for, what of it is taken, and what the control path does", async () => {
  const relay = await startRelay({ ports: { min: 29_000, max: 29_009 }, quotas: { total: 7 } });
  const client = await relay.connect("udp");
  await client.allocate();
  expect(await relay.metric("culvert_relay_allocations")).toBe(1);
  expect(await relay.metric("culvert_relay_allocations_capacity")).toBe(7);
  expect(await relay.metric("culvert_relay_ports_capacity")).toBe(10);
  expect(await relay.metric("culvert_relay_ports_used")).toBe(1);
  expect(await relay.metric("culvert_relay_requests_waiting")).toBe(0);
  expect(await relay.metric("culvert_relay_control_events_total")).toBeGreaterThanOrEqual(3);
  expect(await relay.metric("culvert_relay_control_batches_total")).toBeGreaterThanOrEqual(1);
  expect(await relay.metric("culvert_relay_control_busy_seconds_total")).toBeGreaterThan(0);
});

it("says how long a drain has left", async () => {
  const relay = await startRelay({ drain: { timeout: 600 } });
  const client = await relay.connect("udp");
  await client.allocate();
  expect(await relay.metric("culvert_relay_drain_remaining_seconds")).toBe(0);
  const stopped = relay.service.stop();
  const left = await relay.metric("culvert_relay_drain_remaining_seconds");
  expect(left).toBeGreaterThan(500);
  expect(left).toBeLessThanOrEqual(600);
  await client.close();
  await stopped;
});

it("counts what the kernel drops at a full socket", async () => {
  const relay = await startRelay();
  const count = () => relay.metric("culvert_relay_kernel_udp_errors_total", { kind: "receive-buffer" });
  const before = await count();
  const deaf = createSocket({ type: "udp4", recvBufferSize: 1024 });
  deaf.bind(0, "127.0.0.1");
  await once(deaf, "listening");
  const sender = createSocket("udp4");
  const { port } = deaf.address();
  // Nobody reads while this runs on: the deaf socket's events wait for the end of the turn.
  const bytes = new Uint8Array(8000);
  const sent = Array.from({ length: 100 }, () => new Promise((done) => sender.send(bytes, port, "127.0.0.1", done)));
  const end = performance.now() + 50;
  while (performance.now() < end);
  await Promise.all(sent);
  await sleep(0);
  expect(await count()).toBeGreaterThan(before);
  sender.close();
  deaf.close();
});

it("adds IPv4's and IPv6's counters, and has none where the system does not tell", () => {
  const snmp = "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 1 2 3 4 5 6\n";
  const snmp6 =
    "Udp6InDatagrams 9\nUdp6RcvbufErrors                \t10\nUdp6SndbufErrors 20\nUdpLite6RcvbufErrors 99\n";
  expect(parseKernelUdp(snmp, snmp6)).toEqual({ "receive-buffer": 15, "send-buffer": 26 });
  expect(parseKernelUdp(snmp, "")).toEqual({ "receive-buffer": 5, "send-buffer": 6 });
  expect(parseKernelUdp("", "")).toEqual({});
});
