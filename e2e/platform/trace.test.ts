import { randomBytes } from "node:crypto";
import { startNats, startRedis } from "@culvert/testkit";
import { connectTurn, type TurnClient } from "@culvert/turn-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CredentialService } from "../chaos/support/credential-service.ts";
import { type LoopbackFleet, startLoopbackFleet } from "../chaos/support/fleet.ts";
import { Stage } from "../chaos/support/stage.ts";
import type { TurnAccount } from "../support/account.ts";
import { Collector, type ExportedSpan } from "../support/collector.ts";
import { eventually } from "../support/eventually.ts";

// A credential service and a relay as processes, with Redis, NATS and a collector that writes what it is sent to files.

const stage = new Stage();
let collector: Collector;
let credential: CredentialService;
let fleet: LoopbackFleet;

/** An application's own trace. */
interface Caller {
  readonly traceId: string;
  readonly spanId: string;
  readonly headers: Readonly<Record<string, string>>;
}

function caller(flags = "01"): Caller {
  const traceId = randomBytes(16).toString("hex");
  const spanId = randomBytes(8).toString("hex");
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-${flags}` } };
}

beforeAll(async () => {
  collector = await Collector.start(await stage.folder());
  stage.atEnd(() => collector.close());
  const redis = await startRedis();
  stage.atEnd(() => redis.dispose());
  const nats = await startNats({ jetStream: true });
  stage.atEnd(() => nats.dispose());
  const telemetry = {
    otlp: { endpoint: collector.endpoint, protocol: "http/json" },
    traces: { maxPerSecond: 1000 },
    metrics: { interval: 1 },
  };
  credential = await CredentialService.start(stage, {
    nats: nats.server,
    config: { redis: { url: redis.url }, telemetry, logLevel: "debug" },
    env: { OTEL_RESOURCE_ATTRIBUTES: "k8s.pod.name=credential-0,service.instance.id=credential-0" },
  });
  fleet = await startLoopbackFleet(stage, {
    relays: ["relay-0"],
    config: {
      credential: credential.feed,
      auth: { users: [] },
      dataPlane: { kind: "auto" },
      telemetry,
    },
    fleet: { nats: { servers: [nats.server] } },
  });
  await eventually("the relay traces", () => relayLog().some(({ msg }) => msg === "requests are traced") || undefined);
});

afterAll(() => stage.clear());

async function connect(account: TurnAccount): Promise<TurnClient> {
  const client = await connectTurn({ uri: fleet.uris[0] ?? "", ...account, timeoutMs: 30_000 });
  stage.atEnd(() => client.close({ release: false }));
  return client;
}

type Line = Readonly<Record<string, unknown>>;

function linesOf(output: string): readonly Line[] {
  // What comes after the last end of a line is being written.
  return output
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.startsWith("{"))
    .map((line): Line => JSON.parse(line));
}

const relayLog = (): readonly Line[] => linesOf(fleet.relays[0]?.output ?? "");

/** The lines of a trace that say `msg`, once there are any: spans and lines come by ways of their own. */
function logged(lines: () => readonly Line[], traceId: string, msg: string): Promise<readonly Line[]> {
  return eventually(`the log says '${msg}' of ${traceId}`, () => {
    const found = lines().filter((line) => line.msg === msg && line.trace_id === traceId);
    return found.length === 0 ? undefined : found;
  });
}

/**
 * The spans of a trace that goes on from the span `entry`, once all of these names are among them and no parent is missing:
 * each process exports its spans when it likes.
 */
async function trace(traceId: string, entry: string, names: readonly string[]): Promise<readonly ExportedSpan[]> {
  return eventually(`the trace has ${names.join(", ")}`, async () => {
    const spans = (await collector.spans()).filter((span) => span.traceId === traceId);
    const missing = names.filter((name) => !spans.some((span) => span.name === name));
    if (missing.length > 0)
      throw new Error(`no ${missing.join(", ")} among ${spans.map(({ name }) => name).join(", ")}`);
    const known = new Set([entry, ...spans.map(({ spanId }) => spanId)]);
    const orphans = spans.filter(({ parentSpanId }) => !known.has(parentSpanId));
    if (orphans.length > 0) throw new Error(`no parents of ${orphans.map(({ name }) => name).join(", ")}`);
    return spans;
  });
}

/** Names from a span up to where its trace enters the platform. Fails where a parent was not exported. */
function path(spans: readonly ExportedSpan[], from: ExportedSpan, entry: string): readonly string[] {
  if (from.parentSpanId === entry) return [`${from.service}: ${from.name}`];
  const parent = spans.find(({ spanId }) => spanId === from.parentSpanId);
  if (parent === undefined) throw new Error(`${from.name} has the parent ${from.parentSpanId}, which is not there`);
  return [...path(spans, parent, entry), `${from.service}: ${from.name}`];
}

function the(spans: readonly ExportedSpan[], name: string, holds: (span: ExportedSpan) => boolean = () => true) {
  const found = spans.find((span) => span.name === name && holds(span));
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

const ISSUE = "POST /v1/turn/keys/:keyId/credentials/generate-ice-servers";

test("one trace goes from the HTTP request to the write of the slot", async () => {
  const { traceId, spanId, headers } = caller();
  const client = await connect(await credential.account("alice", headers));
  await client.allocate();
  await client.createPermission([fleet.peerIp]);
  await client.channelBind({ ip: fleet.peerIp, port: 4000 });

  const names = ["EVALSHA keys", "EVALSHA admit", "CreatePermission", "ChannelBind", "slot write", "EVALSHA write"];
  const spans = await trace(traceId, spanId, names);
  // Whole: each has its parent, and they end where the caller begins.
  for (const span of spans) expect(path(spans, span, spanId)[0]).toBe(`credential: ${ISSUE}`);
  expect(path(spans, the(spans, "EVALSHA admit"), spanId)).toEqual([
    `credential: ${ISSUE}`,
    "credential: issue credential",
    "relay: Allocate",
    "relay: admit allocation",
    "relay: EVALSHA admit",
  ]);
  expect(path(spans, the(spans, "EVALSHA write"), spanId)).toEqual([
    `credential: ${ISSUE}`,
    "credential: issue credential",
    expect.stringMatching(/^relay: (CreatePermission|ChannelBind)$/),
    "relay: slot write",
    "relay: EVALSHA write",
  ]);
  expect(path(spans, the(spans, "EVALSHA keys"), spanId)).toContain("credential: issue credential");
  // What started counts as usage, in a message of NATS.
  expect(
    path(spans, the(await trace(traceId, spanId, ["send culvert.usage"]), "send culvert.usage"), spanId),
  ).toContain("relay: Allocate");

  const allocate = the(spans, "Allocate");
  expect(allocate.attributes).toMatchObject({
    "culvert.tenant": "default",
    "culvert.turn.code": "success",
    "network.transport": "udp",
  });
  expect(allocate.attributes["culvert.slot"]).toMatch(/\/\d+-\d+$/);
  const admit = the(spans, "EVALSHA admit");
  expect(admit.attributes).toMatchObject({ "db.system.name": "redis", "db.stored_procedure.name": "admit" });
  expect(admit.start >= allocate.start && admit.end <= allocate.end).toBe(true);
  expect(the(spans, "slot write").attributes).toMatchObject({
    "culvert.write.kind": "put",
    "culvert.write.result": "written",
  });
  expect(the(spans, ISSUE).resource).toMatchObject({
    "service.namespace": "culvert",
    "service.version": expect.stringMatching(/^\d+\.\d+\.\d+/),
    "service.instance.id": "credential-0",
    "k8s.pod.name": "credential-0",
  });
  expect(the(spans, ISSUE).attributes).toMatchObject({ "http.response.status_code": "201" });

  const [created] = await logged(relayLog, traceId, "allocation created");
  expect(created).toMatchObject({ span_id: allocate.spanId });
  const answered = await logged(() => linesOf(credential.output), traceId, "request answered");
  expect(answered).toMatchObject([{ status: 201, span_id: the(spans, ISSUE).spanId }]);
});

test("who asks and from where is in no span", async () => {
  const { traceId, spanId, headers } = caller();
  const account = await credential.account("someone-in-particular", headers);
  const client = await connect(account);
  await client.allocate();
  const spans = await trace(traceId, spanId, ["EVALSHA admit"]);
  // Ids and times are random digits.
  const text = JSON.stringify(spans.map(({ name, attributes, resource }) => ({ name, attributes, resource })));
  expect(text).not.toContain("someone-in-particular");
  expect(text).not.toContain(account.username);
  expect(text).not.toContain(account.password);
  expect(text).not.toMatch(new RegExp(`\\b${client.local.port}\\b`));
});

test("a revocation is followed over NATS and gRPC until what it cut is gone", async () => {
  const client = await connect(await credential.account("mallory"));
  await client.allocate();
  const { traceId, spanId, headers } = caller();
  await credential.revoke("mallory", headers);
  const revoke = "POST /v1/tenants/:tenant/revocations";
  const rpc = "culvert.credential.v1.KeyService/WatchKeys";
  const spans = await trace(traceId, spanId, ["process culvert.credential.revoked", `receive ${rpc}`, "EVALSHA write"]);
  expect(path(spans, the(spans, "process culvert.credential.revoked"), spanId)).toEqual([
    `credential: ${revoke}`,
    "credential: send culvert.credential.revoked",
    "relay: process culvert.credential.revoked",
  ]);
  expect(path(spans, the(spans, `receive ${rpc}`), spanId)).toEqual([
    `credential: ${revoke}`,
    `credential: send ${rpc}`,
    `relay: receive ${rpc}`,
  ]);
  const write = the(spans, "slot write", ({ attributes }) => attributes["culvert.write.kind"] === "delete");
  expect(path(spans, write, spanId).at(-2)).toMatch(/^relay: (process culvert\.credential\.revoked|receive )/);
  expect(await logged(relayLog, traceId, "allocation deleted")).toMatchObject([{ reason: "revoked" }]);
});

test("what the caller does not sample is not traced, and a credential of it names no trace", async () => {
  const { traceId, headers } = caller("00");
  const before = (await credential.account("bob", caller().headers)).username.length;
  const account = await credential.account("bob", headers);
  expect(account.username.length).toBeLessThan(before - 40);
  const client = await connect(account);
  await client.allocate();
  // The relay decides for itself then: its trace begins with the Allocate request.
  const own = await eventually("the relay's own trace", async () =>
    (await collector.spans()).find(({ name, parentSpanId }) => name === "Allocate" && parentSpanId === ""),
  );
  expect(own.traceId).not.toBe(traceId);
  expect((await collector.spans()).filter((span) => span.traceId === traceId)).toEqual([]);
  // The log of what was not sampled has the caller's id all the same.
  await logged(() => linesOf(credential.output), traceId, "request answered");
});

test("a call over gRPC brings its context in the metadata", async () => {
  await credential.restart();
  const rpc = "culvert.credential.v1.KeyService/WatchKeys";
  const [client, server] = await eventually("both sides of the relay's key watch", async () => {
    const spans = (await collector.spans()).filter(({ name }) => name === rpc);
    const served = spans.find(({ service, parentSpanId }) => service === "credential" && parentSpanId !== "");
    const called = spans.find(({ spanId }) => spanId === served?.parentSpanId);
    return served === undefined || called === undefined ? undefined : ([called, served] as const);
  });
  expect(client).toMatchObject({ service: "relay", kind: 3, traceId: server.traceId });
  expect(client.attributes).toMatchObject({ "rpc.system": "grpc", "rpc.grpc.status_code": "0" });
  expect(server.kind).toBe(2);
});

test("metrics go over OTLP, and at /metrics they name the trace that they are an example of", async () => {
  const { traceId, headers } = caller();
  await credential.account("carol", headers);
  await eventually("the relay's and the API's metrics", async () => {
    const [relay, api] = await Promise.all([collector.metrics("relay"), collector.metrics("credential")]);
    return (relay.has("culvert_relay_allocations") && api.has("culvert_credential_minted_total")) || undefined;
  });
  const get = async (accept: string): Promise<string> =>
    (await fetch(`${credential.opsUrl}/metrics`, { headers: { accept } })).text();
  const openmetrics = await get("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
  expect(openmetrics).toMatch(
    new RegExp(
      `^culvert_credential_http_request_duration_seconds_bucket\\{.*\\} \\d+ # \\{trace_id="${traceId}",span_id="`,
      "m",
    ),
  );
  expect(openmetrics.endsWith("# EOF\n")).toBe(true);
  expect(await get("text/plain")).not.toContain(traceId);
});

test("no pod has 2,000 series, with all that a fleet and traces add", async () => {
  const series = async (url: string): Promise<number> => {
    const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
    return lines.filter((line) => line !== "" && !line.startsWith("#")).length;
  };
  const [relay] = fleet.relays;
  for (const count of [await series(credential.opsUrl), (await relay?.metrics())?.length ?? 0]) {
    expect(count).toBeGreaterThan(50);
    expect(count).toBeLessThan(2000);
  }
});
