import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CHART, helm, NAMESPACE, RELEASE, render, VALUES_FILES, valuesPath } from "./support/helm.ts";
import { isService, pods, serviceContainer } from "./support/manifests.ts";
import type { Container, Manifest, PodSpec } from "./support/model.ts";
import { loadedConfig } from "./support/process.ts";

// What holds for every way to install the chart.

/** The pod security standard that a values file says its namespace enforces. */
const standardOf = (file: string): string | undefined =>
  /^# namespace: (\w+)$/m.exec(readFileSync(valuesPath(file), "utf8"))?.[1];

describe.each(VALUES_FILES)("%s", (file) => {
  const manifests = render({ file });
  const workloads = pods(manifests);

  test("passes helm lint --strict", () => {
    const { code, stdout, stderr } = helm(["lint", "--strict", CHART, "--values", valuesPath(file)]);
    expect({ code, problems: `${stdout}${stderr}`.match(/\[(WARNING|ERROR)\].*/g) }).toEqual({
      code: 0,
      problems: null,
    });
  });

  test("every object has the recommended labels, its namespace and a name of its own", () => {
    const scoped = (kind: string): boolean => !kind.startsWith("Cluster");
    for (const { kind, metadata } of manifests.filter(({ metadata }) => metadata.name !== "more")) {
      expect.soft(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
        "app.kubernetes.io/name": "culvert",
        "app.kubernetes.io/instance": RELEASE,
        "app.kubernetes.io/component": expect.stringMatching(/^[a-z-]+$/),
        "app.kubernetes.io/version": "0.1.0",
        "app.kubernetes.io/part-of": "culvert",
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": "culvert-0.1.0",
      });
      if (scoped(kind)) expect.soft(metadata.namespace, metadata.name).toMatch(/./);
    }
    const ids = manifests.map(({ kind, apiVersion, metadata }) => `${apiVersion} ${kind} ${metadata.name}`);
    expect(ids).toEqual([...new Set(ids)]);
  });

  test("labels of pods that select them do not change with the version", () => {
    for (const { owner, labels } of workloads.filter(({ owner }) => !owner.startsWith("Pod "))) {
      expect.soft(Object.keys(labels), owner).not.toContain("app.kubernetes.io/version");
      expect.soft(Object.keys(labels), owner).not.toContain("helm.sh/chart");
    }
  });

  test.each(workloads.map((pod) => [pod.component, pod] as const).filter(([component]) => isService(component)))(
    "the configuration of %s is one that it takes",
    (component, pod) => {
      if (!isService(component)) throw new Error(component);
      const container = serviceContainer(pod);
      expect(container.args?.slice(0, 2)).toEqual([component, "--config"]);
      expect(loadedConfig(manifests, pod, component)).toMatchObject({ ops: { enabled: true } });
    },
  );

  test("probes and metrics are on the port that the configuration names, at an address that the kubelet reaches", () => {
    for (const pod of workloads) {
      const { component } = pod;
      if (!isService(component)) continue;
      const container = serviceContainer(pod);
      const { ops } = loadedConfig(manifests, pod, component);
      const port = container.ports?.find(({ name }) => name === "ops")?.containerPort;
      expect.soft(ops, pod.owner).toMatchObject({ port });
      const host = pod.spec.hostNetwork === true ? "10.0.0.7" : expect.stringMatching(/^(0\.0\.0\.0|::)$/);
      expect.soft(ops, pod.owner).toMatchObject({ host });
      for (const probe of [container.startupProbe, container.livenessProbe]) {
        expect.soft(probe?.httpGet, pod.owner).toEqual({ path: "/healthz/live", port: "ops" });
      }
      expect.soft(container.readinessProbe?.httpGet, pod.owner).toEqual({ path: "/healthz/ready", port: "ops" });
    }
  });

  test("every port that a Service leads to is one of the pod", () => {
    for (const { metadata, spec } of manifests.filter(({ kind }) => kind === "Service")) {
      const component = spec?.selector?.["app.kubernetes.io/component"];
      const pod = workloads.find((each) => each.component === component);
      const names = pod?.spec.containers?.flatMap(({ ports = [] }) => ports.map(({ name }) => name)) ?? [];
      for (const { targetPort } of spec?.ports ?? []) {
        if (typeof targetPort === "string") expect.soft(names, metadata.name).toContain(targetPort);
      }
    }
  });

  test("no pod has more rights than it needs", () => {
    for (const { owner, component, spec } of workloads) {
      expect.soft(spec.automountServiceAccountToken, owner).toBe(false);
      expect.soft(spec.enableServiceLinks, owner).toBe(false);
      expect.soft(spec.securityContext?.seccompProfile, owner).toEqual({ type: "RuntimeDefault" });
      const tokens = spec.volumes?.flatMap(({ projected }) =>
        (projected?.sources ?? []).flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []),
      );
      if (component !== "relay") expect.soft(tokens ?? [], owner).toEqual([]);
      for (const container of spec.containers ?? []) {
        if (container.name === "beside") continue;
        expect.soft(container.securityContext, owner).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
      }
      expect.soft(rootFor(manifests, spec), owner).toEqual([]);
    }
  });

  test("host networking is for a namespace that permits it, and for nobody else", () => {
    const privileged = workloads.filter(({ spec }) => spec.hostNetwork === true).map(({ component }) => component);
    expect(standardOf(file)).toMatch(/^(restricted|privileged)$/);
    if (standardOf(file) === "restricted") expect(privileged).toEqual([]);
    for (const component of privileged) expect(["relay", "stun"]).toContain(component);
  });

  test("NOTES.txt tells the next commands", () => {
    const { stdout, code } = helm([
      "install",
      RELEASE,
      CHART,
      "-n",
      NAMESPACE,
      "--dry-run=client",
      "-f",
      valuesPath(file),
    ]);
    const notes = stdout.slice(stdout.indexOf("NOTES:"));
    expect(code).toBe(0);
    for (const text of [
      "TOKEN=$(kubectl -n voice get secret",
      "curl -X POST http",
      "helm -n voice test culvert",
      "ping-turn",
    ]) {
      expect(notes).toContain(text);
    }
    expect(notes).not.toMatch(/<nil>|<no value>|%!/);
  });
});

/** What runs as root or has capabilities although no port below 1024 on a node's address demands it. */
function rootFor(manifests: readonly Manifest[], spec: PodSpec): readonly string[] {
  const low = (container: Container): boolean =>
    (container.ports ?? []).some(({ containerPort }) => containerPort < 1024);
  const needed = spec.hostNetwork === true && (spec.containers ?? []).some(low);
  const added = (spec.containers ?? []).flatMap(({ securityContext }) => securityContext?.capabilities?.add ?? []);
  const wanted = needed ? { runAsNonRoot: false, runAsUser: 0 } : { runAsNonRoot: true, runAsUser: 65_532 };
  const { runAsNonRoot, runAsUser } = spec.securityContext ?? {};
  const problems = [
    ...(runAsNonRoot === wanted.runAsNonRoot && runAsUser === wanted.runAsUser ? [] : [`runs as ${runAsUser}`]),
    ...added.filter((capability) => !needed || capability !== "NET_BIND_SERVICE"),
  ];
  return manifests.length === 0 ? ["nothing was rendered"] : problems;
}
