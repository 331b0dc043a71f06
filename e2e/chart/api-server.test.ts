import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type ApiServer, startApiServer } from "./support/api-server.ts";
import { createNamespace, installDefinitions } from "./support/cluster-objects.ts";
import { helm, render, template, VALUES_FILES, valuesPath } from "./support/helm.ts";
import { kubectl } from "./support/kubectl.ts";
import { type Pod, podOf, pods } from "./support/manifests.ts";
import { tool } from "./support/tools.ts";

// A real API server, with the pod security admission of namespaces, takes all that the chart makes.

let api: ApiServer;

beforeAll(async () => {
  api = await startApiServer();
  installDefinitions(api);
  for (const standard of ["restricted", "privileged"]) createNamespace(api, standard, standard, "restricted");
  createNamespace(api, "monitoring", "restricted");
});

const namespaceOf = (file: string): string =>
  /^# namespace: (\w+)$/m.exec(readFileSync(valuesPath(file), "utf8"))?.[1] ?? "";

/** What the server has beside what helm expects of it. */
const VERSIONS = ["UDPRoute", "TCPRoute", "TLSRoute"].flatMap((kind) => [
  "--api-versions",
  `gateway.networking.k8s.io/v1/${kind}`,
]);

/** What the API server says of a pod, which it does not keep. */
function admitted({ name, labels, spec }: Pod, namespace: string) {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels }, spec };
  return kubectl(api, ["create", "--dry-run=server", "--filename", "-"], pod);
}

test("the API server is of a release that is maintained, and so is kubectl", () => {
  expect(api.version).toMatch(/^v1\.3[4-9]\./);
  const { stdout } = helm(["version", "--short"]);
  expect(stdout).toMatch(/^v[34]\./);
  expect(tool("kubectl")).toMatch(/kubectl$/);
});

describe.each(VALUES_FILES)("%s", (file) => {
  const namespace = namespaceOf(file);

  test("every object is valid", () => {
    const { stdout } = template({ file, namespace, args: VERSIONS });
    const args = ["apply", "--dry-run=server", "--filename", "-"];
    const { code, stdout: applied, stderr } = kubectl(api, args, stdout);
    expect(stderr.split("\n").filter((line) => line !== "" && !isAboutHostNetwork(line, namespace))).toEqual([]);
    expect(code).toBe(0);
    const made = applied.trim().split("\n");
    expect(made).toHaveLength(render({ file, namespace }).length);
    for (const line of made) expect(line).toMatch(/ created \(server dry run\)$/);
  });

  test("the namespace's pod security admits every pod", () => {
    const workloads = pods(render({ file, namespace }));
    expect(workloads.length).toBeGreaterThan(0);
    for (const pod of workloads) {
      expect.soft(admitted(pod, namespace), pod.owner).toMatchObject({ code: 0 });
      // Host networking is all that keeps a pod from the strictest standard; without it, it is admitted there, too.
      if (pod.spec.hostNetwork === true || pod.spec.containers?.some(({ name }) => name === "beside")) continue;
      expect.soft(admitted(pod, "restricted"), pod.owner).toMatchObject({ code: 0 });
    }
  });
});

/** In a namespace that permits it, that a workload has host networking, or a container of the values no security context. */
function isAboutHostNetwork(line: string, namespace: string): boolean {
  if (namespace !== "privileged") return false;
  return /^Warning: would violate PodSecurity "restricted:latest": /.test(line) && /host|beside|runAsUser=0/.test(line);
}

test("a relay with host networking is refused where that is not permitted", () => {
  const { code, stderr } = admitted(podOf(render(), "relay"), "restricted");
  expect(code).toBe(1);
  expect(stderr).toMatch(/violates PodSecurity "restricted:latest": host namespaces \(hostNetwork=true\)/);
});

test("what is wrong with a manifest is seen", () => {
  const bad = { apiVersion: "v1", kind: "Service", metadata: { name: "bad" }, spec: { ports: [{ port: 70_000 }] } };
  const { code, stderr } = kubectl(api, ["apply", "--dry-run=server", "--filename", "-"], bad);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining("spec.ports[0].port: Invalid value: 70000"),
  });
});
