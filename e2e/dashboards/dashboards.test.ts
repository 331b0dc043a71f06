import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Media } from "../chaos/support/media-process.ts";
import { Stage } from "../chaos/support/stage.ts";
import { eventually } from "../support/eventually.ts";
import { selectorsOf, shippedAlerts } from "./alerts.ts";
import { mintWithoutRedis, useApi, useSignaling } from "./api-load.ts";
import { askStun, Failures } from "./failures.ts";
import { type Choice, chooseAll, hasData, seriesOf, shippedDashboards, substitute } from "./grafana.ts";
import { documentedMetrics, shownMetrics } from "./guide.ts";
import { ACCOUNT, type Platform, startPlatform, TURN_PORT } from "./platform.ts";
import { NAMESPACE, Prometheus } from "./prometheus.ts";

// All services as processes under load and in trouble, scraped by a real Prometheus: each panel of each dashboard shows
// something, each alert reads what is there, and the guide tells all that is shown.

const SETUP_MS = 240_000;
/** The most series that one process may show. */
const MAX_SERIES = 2000;

/** More than a lease, in milliseconds. */
const FROZEN_MS = 4500;

/** Queries that have no data here, and why. */
const NOTHING_HERE: ReadonlyMap<string, string> = new Map([
  ["process_memory_limit_bytes", "the control group of these processes may have no limit of memory"],
]);

const stage = new Stage();
let platform: Platform;
let prometheus: Prometheus;
let began = 0;
/** Seconds that the dashboards show: all that has happened. */
const shown = (): number => Math.ceil((performance.now() - began) / 1000);

beforeAll(async () => {
  platform = await startPlatform(stage);
  began = performance.now();
  prometheus = await Prometheus.start(stage, platform.all);
  // What was scraped before something happens is what it is compared with.
  await eventually(
    "all are scraped",
    async () => (await prometheus.now("up == 1")).length === platform.all.length || undefined,
  );
  await useIt();
  await breakIt();
  await sleep(5000);
}, SETUP_MS);

afterAll(() => stage.clear(), 60_000);

/** What users do, and what they do wrong. */
async function useIt(): Promise<void> {
  const { relayIps, stunIps, peerIp } = platform;
  const media = Media.start(stage);
  const servers = relayIps.slice(0, 2).map((ip) => `turn:${ip}:${TURN_PORT}`);
  await media.open({ calls: 12, servers, ...ACCOUNT, peerIp, refreshEvery: 2 });
  const clients = new Failures(platform);
  stage.atEnd(() => clients.close());
  for (let round = 0; round < 3; round++) {
    await Promise.all([clients.all(0), useApi(platform, round), useSignaling(platform, round)]);
    for (const ip of stunIps) await askStun(ip, peerIp);
    await sleep(1000);
  }
  await clients.streams(1);
}

/** A relay that is killed and comes back, a certificate that cannot be read, Redis, NATS and a replica gone for a while, a drain. */
async function breakIt(): Promise<void> {
  const { relays, signaling, redis, nats, certificate } = platform;
  const [, killed, draining] = relays;
  const clients = new Failures(platform);
  await clients.hold(1);
  await killed?.kill();
  await killed?.start();
  await writeFile(certificate.cert, "no certificate");
  await signaling[1]?.kill();
  await redis.kill();
  await sleep(1500);
  await clients.withoutRedis(0);
  for (let count = 0; count < 3; count++) expect(await mintWithoutRedis(platform)).toBe(503);
  await redis.start();
  await nats.kill();
  await sleep(1000);
  await nats.start();
  await signaling[1]?.start();
  await clients.hold(2);
  draining?.signal("SIGTERM");
  await sleep(500);
  await new Failures(platform).redirected(2);
  await useApi(platform, 3);
}

describe.each(shippedDashboards())("dashboard $file", (dashboard) => {
  let choice: Choice = {};
  beforeAll(async () => {
    choice = await chooseAll(prometheus, dashboard);
  });

  test("offers its instances", () => {
    expect(choice.namespace).toBe(".*");
    expect(choice.instance).toMatch(/^\([\w|-]+\)$/);
  });

  const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map((target) => ({ title, ...target })),
  );
  test.each(queries)("$title: $expr", async ({ expr, ...target }) => {
    const series = await seriesOf(prometheus, { expr, ...target }, choice, shown());
    const [excuse] = [...NOTHING_HERE.keys()].filter((metric) => expr.includes(metric));
    if (excuse === undefined) expect(hasData(series), `no data for ${substitute(expr, choice, shown())}`).toBe(true);
  });
});

describe("rules", () => {
  test("are all evaluated without an error", async () => {
    const rules = await prometheus.rules();
    expect(rules.length).toBeGreaterThan(shippedAlerts().length);
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
  });

  test("make one number of allocations over capacity, for autoscalers", async () => {
    const [ratio, ...others] = await prometheus.now("culvert:relay_allocations:ratio");
    expect(others).toEqual([]);
    expect(ratio?.metric.namespace).toBe(NAMESPACE);
    expect(ratio?.values[0]).toBeGreaterThan(0);
    expect(ratio?.values[0]).toBeLessThan(1);
  });

  test.each(shippedAlerts())("$alert reads what is there", async ({ expr }) => {
    await prometheus.now(expr);
    for (const selector of selectorsOf(expr)) {
      if ([...NOTHING_HERE.keys()].some((metric) => selector.startsWith(metric))) continue;
      expect(await prometheus.now(`last_over_time(${selector}[10m])`), selector).not.toEqual([]);
    }
  });
});

describe("metrics", () => {
  test("are those of docs/guides/metrics.md, by name, type and labels", async () => {
    const shown = shownMetrics(await Promise.all(platform.all.map((service) => service.metrics())));
    const documented = new Map(documentedMetrics().map((metric) => [metric.name, metric]));
    const known = [...shown.keys()].filter((name) => name !== "target_info").toSorted();
    const optional = [...NOTHING_HERE.keys()].filter((name) => !shown.has(name));
    expect([...documented.keys()].filter((name) => !optional.includes(name)).toSorted()).toEqual(known);
    for (const [name, { type, labels }] of shown) {
      if (name === "target_info") continue;
      expect({ name, type: documented.get(name)?.type, labels: documented.get(name)?.labels.toSorted() }).toEqual({
        name,
        type,
        labels: labels.toSorted(),
      });
    }
  });

  test.each(["user", "tenant", "address", "ip", "port", "allocation", "client", "peer", "session", "room"])(
    "have no label %s",
    async (label) => {
      for (const service of platform.all) {
        expect(await service.metrics()).not.toMatch(
          new RegExp(`^(culvert|process|nodejs)\\w*\\{(.*,)?${label}="`, "m"),
        );
      }
    },
  );

  test("are a bounded number of series a process", async () => {
    for (const service of platform.all) {
      const lines = (await service.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      expect(lines.length, service.name).toBeLessThan(MAX_SERIES);
    }
  });
});

/** Trouble that is real here: the alert's expression, without its waiting time, must show it. */
describe("in trouble", () => {
  const expressionOf = (alert: string): string => {
    const rule = shippedAlerts().find((one) => one.alert === alert);
    if (rule === undefined) throw new Error(`${alert}: there is no such alert`);
    return rule.expr;
  };
  const shows = (alert: string): Promise<true> =>
    eventually(
      `${alert} sees it`,
      async () => ((await prometheus.now(expressionOf(alert))).length > 0 ? true : undefined),
      30_000,
    );

  test.each([
    "CulvertRelayDrainEnding",
    "CulvertRelayCapacityExhausted",
    "CulvertReloadFailed",
    "CulvertSignalingReplicaLost",
    "CulvertRelayPeersDangerouslyAllowed",
  ])("%s shows what has happened", async (alert) => {
    expect(await prometheus.range(expressionOf(alert), shown(), 1)).not.toEqual([]);
  });

  test("CulvertRelaySlotsUnstable shows a relay that stood still for longer than its leases", async () => {
    const frozen = platform.relays[1];
    frozen?.signal("SIGSTOP");
    await sleep(FROZEN_MS);
    frozen?.signal("SIGCONT");
    await shows("CulvertRelaySlotsUnstable");
  });

  test("CulvertStunPartnerDown shows that the partner is gone", async () => {
    await platform.stun[0]?.kill();
    await shows("CulvertStunPartnerDown");
  });

  test("CulvertKeysStale and CulvertTargetDown show that the credential service is gone", async () => {
    await platform.credential.kill();
    await Promise.all([shows("CulvertKeysStale"), shows("CulvertTargetDown")]);
  });

  test("CulvertNatsDown shows that NATS is gone", async () => {
    await platform.nats.kill();
    await shows("CulvertNatsDown");
  });

  test("CulvertRedisDown and CulvertRelayLeaseRenewalsFailing show that Redis is gone", async () => {
    await platform.redis.kill();
    await Promise.all([shows("CulvertRedisDown"), shows("CulvertRelayLeaseRenewalsFailing")]);
  });
});
