import { describe, expect, test } from "vitest";
import { render } from "./support/helm.ts";
import { find, podOf, serviceContainer } from "./support/manifests.ts";
import { loadedConfig } from "./support/process.ts";

// A relay that is told to stop goes on with its calls. What Kubernetes gives it must be as long as that.

interface Times {
  readonly grace: number;
  readonly preStop: number;
  readonly drain: unknown;
}

function times(values: object): Times {
  const manifests = render({ values });
  const pod = podOf(manifests, "relay");
  const { drain } = loadedConfig(manifests, pod, "relay");
  return {
    grace: pod.spec.terminationGracePeriodSeconds ?? 0,
    preStop: serviceContainer(pod).lifecycle?.preStop?.sleep?.seconds ?? 0,
    drain,
  };
}

describe("the relay's grace period", () => {
  test("is as long as the longest allocation lives, unless told so", () => {
    expect(times({})).toEqual({ grace: 3635, preStop: 5, drain: { timeout: 3600 } });
    const lifetime = { relay: { lifetime: { max: 7200 } } };
    expect(times(lifetime)).toEqual({ grace: 7235, preStop: 5, drain: { timeout: 7200 } });
  });

  test("follows the drain that was chosen", () => {
    const short = { relay: { drain: { timeout: 0 }, preStopSeconds: 0 } };
    expect(times(short)).toEqual({ grace: 30, preStop: 0, drain: { timeout: 0 } });
    const longer = { relay: { drain: { timeout: 60 }, terminationGracePeriodSeconds: 300 } };
    expect(times(longer)).toEqual({ grace: 300, preStop: 5, drain: { timeout: 60 } });
  });
});

test("signaling leaves its clients time to go elsewhere", () => {
  const manifests = render({ values: { signaling: { drain: { timeout: 40 } } } });
  const pod = podOf(manifests, "signaling");
  expect(pod.spec.terminationGracePeriodSeconds).toBe(60);
  expect(loadedConfig(manifests, pod, "signaling")).toMatchObject({ drain: { timeout: 40 } });
});

test("a relay that looks for its address is not killed for it", () => {
  for (const wait of [0, 30, 3600]) {
    const manifests = render({ values: { relay: { externalAddress: { wait } } } });
    const { startupProbe } = serviceContainer(podOf(manifests, "relay"));
    const given = (startupProbe?.periodSeconds ?? 0) * (startupProbe?.failureThreshold ?? 0);
    expect(given).toBeGreaterThanOrEqual(wait + 10);
  }
});

const checksums = (values: object): readonly (string | undefined)[] =>
  render({ values })
    .filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet")
    .map(({ spec }) => spec?.template?.metadata.annotations?.["checksum/config"]);

test("services take another level of the log over while they run", () => {
  expect(checksums({ logLevel: "debug" })).toEqual(checksums({}));
  expect(checksums({ listenAddress: "::" })).not.toEqual(checksums({}));
});

test("only what a relay cannot take over while it runs makes new pods", () => {
  const checksum = (values: object): string | undefined =>
    find(render({ values }), "StatefulSet", "culvert-relay").spec?.template?.metadata.annotations?.["checksum/config"];
  const before = checksum({});
  const live = [
    { quotas: { user: 3 } },
    { peers: { allow: ["10.0.0.0/8"] } },
    { lifetime: { default: 300 } },
    { externalAddress: { ipv4: "203.0.113.5" } },
    { config: { limits: { maxBps: 100_000 }, fleet: { onStateLoss: "refuse" }, software: "x" } },
  ];
  for (const relay of live) expect(checksum({ relay })).toBe(before);
  expect(checksum({ secrets: { fleetRotation: 1 } })).toBe(before);
  for (const relay of [{ realm: "other" }, { ports: { min: 50_000 } }, { config: { fleet: { lease: { ttl: 5 } } } }]) {
    expect(checksum({ relay })).not.toBe(before);
  }
});

test("one pod may be gone at once", () => {
  for (const component of ["credential", "signaling", "stun", "relay"]) {
    expect(find(render(), "PodDisruptionBudget", `culvert-${component}`).spec).toMatchObject({ maxUnavailable: 1 });
  }
});
