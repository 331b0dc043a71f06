import { hostOfTarget, OwnBackends } from "@culvert/relay-service";
import { createLogger } from "@culvert/telemetry";
import { expect, test } from "vitest";
import { failure, startRelay } from "./harness.ts";

const logger = createLogger({ service: "relay", level: "silent" });

test.each([
  ["credential:9090", "credential"],
  ["10.0.0.1:9090", "10.0.0.1"],
  ["[fd00::1]:9090", "fd00::1"],
  ["dns:///credential.culvert.svc:9090", "credential.culvert.svc"],
  ["fd00::53", "fd00::53"],
  ["10.0.0.53", "10.0.0.53"],
])("the host of %s is %s", (target, host) => {
  expect(hostOfTarget(target)).toBe(host);
});

test("names become addresses, ranges stay, loopback is left out, and what stops resolving is kept", async () => {
  const answers = new Map([["redis", ["10.0.0.9", "127.0.0.1"]]]);
  const resolve = async (host: string) => {
    const found = answers.get(host);
    if (found === undefined) throw Object.assign(new Error("not found"), { code: "ENOTFOUND" });
    return found;
  };
  const backends = new OwnBackends(["redis", "10.1.0.0/16", "::1", "nowhere"], resolve, logger);
  expect(await backends.refresh()).toBe(true);
  expect(backends.ranges()).toEqual(["10.0.0.9", "10.1.0.0/16"]);
  expect(await backends.refresh()).toBe(false);
  answers.delete("redis");
  expect(await backends.refresh()).toBe(false);
  answers.set("redis", ["10.0.0.10"]);
  expect(await backends.refresh()).toBe(true);
  expect(backends.ranges()).toEqual(["10.0.0.10", "10.1.0.0/16"]);
});

test("the host that traces and metrics go to is no peer", async () => {
  const relay = await startRelay({
    peers: { allow: ["10.0.0.0/8"] },
    telemetry: {
      otlp: { endpoint: "http://10.9.8.7:4318" },
      traces: { enabled: false },
      metrics: { enabled: false },
    },
  });
  const client = await relay.connect("udp");
  await client.allocate();
  await client.createPermission(["10.9.8.6"]);
  expect(await failure(client.createPermission(["10.9.8.7"]))).toMatchObject({ code: 403 });
});
