import { beforeAll, describe, expect, test } from "vitest";
import { type ApiServer, startApiServer } from "./support/api-server.ts";
import { createNamespace, installDefinitions } from "./support/cluster-objects.ts";
import { CHART, helm, RELEASE, VALUES_FILES, valuesPath } from "./support/helm.ts";
import { kubectlOutput } from "./support/kubectl.ts";

// helm install, upgrade and uninstall on a real API server. Nothing runs: there are no controllers.

let api: ApiServer;

beforeAll(async () => {
  api = await startApiServer();
  installDefinitions(api);
  for (const name of ["voice", "monitoring"]) createNamespace(api, name, "privileged");
});

const onServer = (words: readonly string[], values: object = {}) =>
  helm([...words, "--namespace", "voice", "--kubeconfig", api.kubeconfig, "--values", "-"], {
    input: JSON.stringify(values),
  });

const install = (args: readonly string[] = []) => onServer(["install", RELEASE, CHART, ...args]);
/** Without any value helm would take those of the time before. */
const upgrade = (values: object = {}) => onServer(["upgrade", RELEASE, CHART], { logLevel: "info", ...values });
const uninstall = () => helm(["uninstall", RELEASE, "--namespace", "voice", "--kubeconfig", api.kubeconfig]);

interface Item {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly generation?: number;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
}

function objects(kinds: string): readonly Item[] {
  const words = [
    "get",
    kinds,
    "--all-namespaces",
    "--selector",
    `app.kubernetes.io/instance=${RELEASE}`,
    "--output=json",
  ];
  const answer: { items: Item[] } = JSON.parse(kubectlOutput(api, words));
  return answer.items;
}

const secrets = (): Readonly<Record<string, unknown>> =>
  Object.fromEntries(objects("secrets").map(({ metadata, data }) => [metadata.name, data]));

const generations = (): readonly string[] =>
  objects("deployments,statefulsets").map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.generation}`);

function fleetSecrets(): readonly string[] {
  const secret = objects("secrets").find(({ metadata }) => metadata.name === "culvert-secrets");
  return Buffer.from(secret?.data?.["fleet-secrets"] ?? "", "base64")
    .toString()
    .split(",");
}

const ALL = [
  ...["configmaps", "secrets", "services", "serviceaccounts", "deployments", "statefulsets", "poddisruptionbudgets"],
  ...["networkpolicies", "horizontalpodautoscalers", "ingresses", "roles", "rolebindings", "clusterroles"],
  ...["clusterrolebindings", "servicemonitors", "podmonitors", "prometheusrules", "certificates", "scaledobjects"],
  ...["udproutes", "tcproutes", "tlsroutes", "httproutes"],
].join(",");

describe("a release", () => {
  beforeAll(() => {
    const { code, stderr } = install();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return () => void uninstall();
  });

  test("keeps its secrets and replaces no pod when it is upgraded with nothing new", () => {
    const [before, workloads] = [secrets(), generations()];
    expect(Object.keys(before).sort()).toEqual(["culvert-nats", "culvert-redis", "culvert-secrets"]);
    for (let time = 0; time < 2; time += 1) expect(upgrade()).toMatchObject({ code: 0, stderr: "" });
    expect(secrets()).toEqual(before);
    expect(generations()).toEqual(workloads);
  });

  test("keeps its secrets, too, when other values change", () => {
    const before = secrets();
    expect(upgrade({ relay: { realm: "example.org" }, logLevel: "debug" })).toMatchObject({ code: 0 });
    expect(secrets()).toEqual(before);
  });

  test("rotates the fleet's secret in three steps, each of which may be repeated, and replaces no pod", () => {
    expect(upgrade()).toMatchObject({ code: 0 });
    const workloads = generations();
    const [old = ""] = fleetSecrets();
    const step = (fleetRotation: number) => upgrade({ secrets: { fleetRotation } });
    for (let time = 0; time < 2; time += 1) {
      expect(step(1)).toMatchObject({ code: 0 });
      expect(fleetSecrets()).toEqual([old, expect.stringMatching(/^\w{48}$/)]);
    }
    const [, fresh = ""] = fleetSecrets();
    expect(fresh).not.toBe(old);
    expect(step(2)).toMatchObject({ code: 0 });
    expect(fleetSecrets()).toEqual([fresh, old]);
    expect(step(3)).toMatchObject({ code: 0 });
    expect(fleetSecrets()).toEqual([fresh]);
    expect(generations()).toEqual(workloads);
  });

  test("refuses to leave out a step of the rotation", () => {
    const before = fleetSecrets();
    const { code, stderr } = upgrade({ secrets: { fleetRotation: 5 } });
    expect(code).toBe(1);
    expect(stderr).toContain("secrets.fleetRotation: 5: must be 3, as it is, or 4, the next step");
    expect(fleetSecrets()).toEqual(before);
  });

  test("refuses bad values and stays as it is", () => {
    const before = generations();
    const { code, stderr } = upgrade({ relay: { replicas: 2, antiAffinity: "none" } });
    expect(code).toBe(1);
    expect(stderr).toContain("at '/relay/antiAffinity': value must be 'required'");
    expect(generations()).toEqual(before);
  });
});

describe("every way to install", () => {
  test.each(VALUES_FILES)("%s is installed, upgraded and leaves nothing", (file) => {
    const installed = install(["--values", valuesPath(file)]);
    expect(installed).toMatchObject({ code: 0 });
    expect(installed.stdout).toContain("TOKEN=$(kubectl -n voice get secret");
    const before = generations();
    expect(before.length).toBeGreaterThan(0);
    expect(onServer(["upgrade", RELEASE, CHART, "--values", valuesPath(file)])).toMatchObject({ code: 0 });
    expect(generations()).toEqual(before);
    expect(uninstall()).toMatchObject({ code: 0 });
    expect(objects(ALL).map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([]);
  });
});

test("Gateway API routes are those of the server", () => {
  expect(install(["--values", valuesPath("everything-values.yaml")])).toMatchObject({ code: 0 });
  const routes = objects("udproutes,tcproutes,tlsroutes,httproutes");
  expect(routes.map(({ kind }) => kind).sort()).toEqual(["HTTPRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute"]);
  expect(uninstall()).toMatchObject({ code: 0 });
});
