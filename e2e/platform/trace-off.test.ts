import { connectTurn } from "@culvert/turn-client";
import { afterEach, expect, test } from "vitest";
import { CredentialService } from "../chaos/support/credential-service.ts";
import { startLoopbackFleet } from "../chaos/support/fleet.ts";
import { Stage } from "../chaos/support/stage.ts";
import { Collector } from "../support/collector.ts";
import { eventually } from "../support/eventually.ts";
import { type LoadedModules, noteLoadedModules } from "../support/loaded-modules.ts";

// Tracing costs nothing where it is off: not even the time to load its SDK.

const stage = new Stage();
afterEach(() => stage.clear());

const SDK = /sdk-trace|otlp/;

interface Run {
  readonly loaded: readonly LoadedModules[];
  readonly username: string;
  output(): string;
}

/** A credential service and a relay, one call. */
async function run(telemetry: object): Promise<Run> {
  const loaded = [
    await noteLoadedModules(await stage.folder(), "/@opentelemetry/"),
    await noteLoadedModules(await stage.folder(), "/@opentelemetry/"),
  ] as const;
  const credential = await CredentialService.start(stage, {
    config: { telemetry, logLevel: "debug" },
    env: loaded[0].env,
  });
  const fleet = await startLoopbackFleet(stage, {
    relays: ["relay-0"],
    config: { credential: credential.feed, auth: { users: [] }, dataPlane: { kind: "auto" }, telemetry },
    env: { "relay-0": loaded[1].env },
  });
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const account = await credential.account("alice", { traceparent });
  const client = await connectTurn({ uri: fleet.uris[0] ?? "", ...account, timeoutMs: 30_000 });
  stage.atEnd(() => client.close({ release: false }));
  await client.allocate();
  return { loaded, username: account.username, output: () => credential.output + (fleet.relays[0]?.output ?? "") };
}

const claimsOf = (username: string): object =>
  JSON.parse(Buffer.from(username.split(":")[2] ?? "", "base64url").toString());

test("without an endpoint the SDK is not loaded, and nothing names a trace", async () => {
  const { loaded, username, output } = await run({});
  for (const modules of loaded) {
    const names = await modules.read();
    expect(names.some((name) => name.includes("@opentelemetry/api"))).toBe(true);
    expect(names.filter((name) => SDK.test(name))).toEqual([]);
  }
  expect(claimsOf(username)).not.toHaveProperty("x");
  expect(output()).toContain("allocation created");
  expect(output()).not.toContain("trace_id");
});

test("with an endpoint it is", async () => {
  const collector = await Collector.start(await stage.folder());
  stage.atEnd(() => collector.close());
  const { loaded, username } = await run({ otlp: { endpoint: collector.endpoint, protocol: "http/json" } });
  expect(claimsOf(username)).toHaveProperty("x");
  for (const modules of loaded) {
    await eventually(
      "the SDK is loaded",
      async () => (await modules.read()).some((name) => SDK.test(name)) || undefined,
    );
  }
});
