import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { CHART, render } from "./support/helm.ts";
import { find, named, podOf, serviceContainer } from "./support/manifests.ts";
import { loadedConfig } from "./support/process.ts";

const everything = render({ file: "everything-values.yaml" });
const production = render({ file: "production-hostnetwork-values.yaml" });

/** Files of a folder of the chart; none where it is not there. */
function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(join(CHART, folder)).sort();
  } catch {
    return [];
  }
}

describe("monitoring", () => {
  test("each dashboard is a ConfigMap of its own, word for word, with the sidecar's label", () => {
    const files = filesOf("dashboards").filter((name) => name.endsWith(".json"));
    const maps = production.filter(({ metadata }) => metadata.labels?.grafana_dashboard === "1");
    expect(maps.flatMap(({ data }) => Object.keys(data ?? {})).sort()).toEqual(files);
    for (const { data, metadata } of maps) {
      expect(metadata.annotations).toMatchObject({ grafana_folder: "Culvert" });
      for (const [name, text] of Object.entries(data ?? {})) {
        expect(text.trim()).toBe(readFileSync(join(CHART, "dashboards", name), "utf8").trim());
      }
    }
    const elsewhere = everything.filter(({ metadata }) => metadata.labels?.grafana_dashboard === "1");
    for (const { metadata } of elsewhere) expect(metadata.namespace).toBe("monitoring");
  });

  test("each file of rules is a PrometheusRule, with the runbooks where they are", () => {
    const files = filesOf("rules").filter((name) => name.endsWith(".yaml"));
    expect(named(production, "PrometheusRule")).toEqual(files.map((name) => `culvert-${name.replace(".yaml", "")}`));
    for (const file of files) {
      const rule = find(production, "PrometheusRule", `culvert-${file.replace(".yaml", "")}`);
      const text = readFileSync(join(CHART, "rules", file), "utf8");
      expect(rule.spec).toEqual(
        parse(text.replaceAll(": docs/runbooks/", ": https://example.org/culvert/docs/runbooks/")),
      );
      expect(rule.metadata.labels).toMatchObject({ release: "prometheus" });
    }
  });

  test("every service is scraped once, by its pod's name", () => {
    expect(find(production, "ServiceMonitor", "culvert-services").spec).toMatchObject({
      selector: { matchLabels: { "culvert.io/metrics": "true", "app.kubernetes.io/instance": "culvert" } },
      endpoints: [{ port: "ops", path: "/metrics", interval: "30s" }],
    });
    expect(find(production, "PodMonitor", "culvert-pods").spec).toMatchObject({
      selector: {
        matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: ["relay", "stun"] }],
      },
      podMetricsEndpoints: [
        {
          port: "ops",
          relabelings: expect.arrayContaining([
            { sourceLabels: ["__meta_kubernetes_pod_name"], targetLabel: "instance" },
          ]),
        },
      ],
    });
    const scraped = production.filter(({ metadata }) => metadata.labels?.["culvert.io/metrics"] === "true");
    expect(scraped.map(({ metadata }) => metadata.name)).toEqual([
      "culvert-credential-internal",
      "culvert-signaling-internal",
    ]);
    for (const { spec } of scraped) expect(spec?.ports?.map(({ name }) => name)).toContain("ops");
  });
});

describe("certificates", () => {
  test("cert-manager's goes where relays and STUN servers read it", () => {
    expect(find(everything, "Certificate", "everything-tls").spec).toMatchObject({
      secretName: "everything-tls",
      issuerRef: { name: "letsencrypt", kind: "ClusterIssuer", group: "cert-manager.io" },
      dnsNames: ["turn.example.org", "stun.example.org"],
    });
    for (const component of ["relay", "stun"] as const) {
      const pod = podOf(everything, component);
      expect(pod.spec.volumes).toContainEqual({
        name: "tls",
        secret: { secretName: "everything-tls", defaultMode: 0o440 },
      });
      expect(loadedConfig(everything, pod, component)).toMatchObject({
        tls: { cert: "/run/culvert/tls/tls.crt", key: "/run/culvert/tls/tls.key", checkInterval: 10 },
      });
      expect(serviceContainer(pod).volumeMounts).toContainEqual({
        name: "tls",
        mountPath: "/run/culvert/tls",
        readOnly: true,
      });
    }
  });
});

describe("ways in", () => {
  test("Gateway API: a route for each transport", () => {
    const backend = (port: number) => [{ backendRefs: [{ name: "everything-relay", port }] }];
    expect(find(everything, "UDPRoute", "everything-relay").spec).toMatchObject({
      parentRefs: [{ name: "edge", sectionName: "turn-udp" }],
      rules: backend(3478),
    });
    expect(find(everything, "TCPRoute", "everything-relay").spec).toMatchObject({ rules: backend(3478) });
    expect(find(everything, "TLSRoute", "everything-relay").spec).toMatchObject({
      hostnames: ["turn.example.org"],
      rules: backend(5349),
    });
    expect(find(everything, "HTTPRoute", "everything-credential").spec).toMatchObject({
      hostnames: ["api.example.org"],
      rules: [{ backendRefs: [{ name: "everything-credential", port: 80 }] }],
    });
    expect(find(everything, "HTTPRoute", "everything-signaling").spec).toMatchObject({
      rules: [{ matches: [{ path: { type: "PathPrefix", value: "/v1/signaling" } }] }],
    });
  });

  test("Gateway API: v1 where the cluster has it", () => {
    const versions = ["UDPRoute", "TCPRoute", "TLSRoute"].map((kind) => `gateway.networking.k8s.io/v1/${kind}`);
    const args = versions.flatMap((version) => ["--api-versions", version]);
    const stable = render({ file: "everything-values.yaml", args });
    for (const kind of ["UDPRoute", "TCPRoute", "TLSRoute"]) {
      expect(find(everything, kind, "everything-relay").apiVersion).toBe("gateway.networking.k8s.io/v1alpha2");
      expect(find(stable, kind, "everything-relay").apiVersion).toBe("gateway.networking.k8s.io/v1");
    }
  });

  test("Ingress to the API and to signaling's WebSocket", () => {
    expect(find(production, "Ingress", "culvert-credential").spec).toEqual({
      ingressClassName: "nginx",
      tls: [{ hosts: ["api.example.org"], secretName: "api-example-org" }],
      rules: [
        {
          host: "api.example.org",
          http: {
            paths: [
              {
                path: "/",
                pathType: "Prefix",
                backend: { service: { name: "culvert-credential", port: { name: "http" } } },
              },
            ],
          },
        },
      ],
    });
    expect(find(production, "Ingress", "culvert-signaling").spec).toMatchObject({
      rules: [{ http: { paths: [{ path: "/v1/signaling", pathType: "Exact" }] } }],
    });
    expect(find(production, "Service", "culvert-signaling").spec?.ports).toMatchObject([
      { appProtocol: "kubernetes.io/ws" },
    ]);
  });

  test("the key feed stays inside, whatever the API's Service is", () => {
    expect(find(everything, "Service", "everything-credential").spec).toMatchObject({
      type: "LoadBalancer",
      ports: [{ name: "http", port: 80 }],
    });
    expect(find(everything, "Service", "everything-credential-internal").spec).toMatchObject({ type: "ClusterIP" });
  });
});

describe("what users expect of a chart", () => {
  test("telemetry goes to the collector, with the pod's names", () => {
    for (const component of ["credential", "signaling", "stun", "relay"] as const) {
      const pod = podOf(everything, component);
      expect(loadedConfig(everything, pod, component)).toMatchObject({
        logLevel: "debug",
        telemetry: {
          otlp: {
            endpoint: "http://collector.observability:4318",
            protocol: "http/protobuf",
            headers: "authorization=Bearer token",
          },
          traces: { sampleRatio: 0.1, maxPerSecond: 20 },
        },
      });
      expect(serviceContainer(pod).env).toContainEqual({
        name: "OTEL_RESOURCE_ATTRIBUTES",
        value: expect.stringContaining("k8s.pod.name=$(CULVERT_POD_NAME)"),
      });
    }
  });

  test("pods take more of everything", () => {
    const { spec, labels } = podOf(everything, "credential");
    expect(labels).toMatchObject({ "example.org/pod": "yes" });
    expect(spec).toMatchObject({
      serviceAccountName: "api",
      containers: [
        {
          env: expect.arrayContaining([{ name: "NODE_OPTIONS", value: "--max-old-space-size=256" }]),
          envFrom: [{ configMapRef: { name: "more" } }],
          volumeMounts: expect.arrayContaining([{ name: "more", mountPath: "/more" }]),
        },
        { name: "beside" },
      ],
      volumes: expect.arrayContaining([{ name: "more", emptyDir: {} }]),
      affinity: { nodeAffinity: expect.anything() },
      topologySpreadConstraints: [{ topologyKey: "example.org/rack" }],
    });
    expect(podOf(production, "relay").spec).toMatchObject({
      priorityClassName: "system-cluster-critical",
      nodeSelector: { "example.org/pool": "relay" },
      tolerations: [{ key: "example.org/relay" }],
      imagePullSecrets: [{ name: "registry" }],
    });
  });

  test("an affinity of the values stands beside the one that keeps relays apart", () => {
    expect(podOf(everything, "relay").spec.affinity).toMatchObject({
      nodeAffinity: expect.anything(),
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [expect.anything()] },
    });
  });

  test("config reaches the service, over what the chart sets", () => {
    expect(loadedConfig(production, podOf(production, "relay"), "relay")).toMatchObject({
      logAddresses: "plain",
      dataPlane: { workers: 4 },
      fleet: { slots: { ports: 1024 }, onStateLoss: "refuse", lease: { ttl: 3 } },
      quotas: { user: 10, total: 8000 },
      peers: { allow: ["10.20.0.0/16"], deny: ["198.51.100.7"], backends: ["postgres.internal"] },
    });
  });

  test("images by digest, names by override, labels and annotations everywhere", () => {
    expect(serviceContainer(podOf(production, "relay")).image).toMatch(/^registry\.example\.org\/culvert@sha256:/);
    expect(serviceContainer(podOf(render(), "relay")).image).toBe("culvert:0.1.0");
    expect(named(everything, "StatefulSet")).toEqual(["everything-relay", "everything-stun"]);
    for (const { metadata } of production) {
      expect(metadata.labels).toMatchObject({ team: "media" });
      expect(metadata.annotations).toMatchObject({ "example.org/owner": "media" });
    }
  });

  test("more objects are templates", () => {
    expect(find(everything, "ConfigMap", "more").data).toEqual({ RELEASE: "culvert" });
  });
});

describe("behaviour discovery", () => {
  test("the pods are partners, two and two", () => {
    const pod = podOf(production, "stun");
    const of = (index: number) => loadedConfig(production, { ...pod, name: `culvert-stun-${index}` }, "stun");
    for (const [index, partner] of [1, 0].entries()) {
      expect(of(index)).toMatchObject({
        listeners: [
          { transport: "udp", ip: "10.0.0.7", port: 3480 },
          { transport: "tcp", ip: "10.0.0.7", port: 3480 },
          { transport: "tls", ip: "10.0.0.7", port: 5350 },
        ],
        alternate: { port: 3481 },
        partner: {
          target: `culvert-stun-${partner}.culvert-stun-headless.voice.svc:3482`,
          token: expect.any(String),
          listen: { ip: "10.0.0.7", port: 3482 },
        },
      });
    }
  });
});

describe("helm test", () => {
  test("probes each transport with credentials of the API", () => {
    const { spec } = podOf(everything, "test");
    expect(spec.containers?.map(({ args }) => args?.slice(0, 2))).toEqual([
      ["ping-turn", "turn:everything-relay.voice.svc:3478?transport=udp"],
      ["ping-turn", "turn:everything-relay.voice.svc:3478?transport=tcp"],
      ["ping-turn", "turns:everything-relay.voice.svc:5349?transport=tcp"],
    ]);
    expect(spec.containers?.[0]?.env).toEqual([
      { name: "CULVERT_API_URL", value: "http://everything-credential.voice.svc:80" },
      { name: "CULVERT_KEY_ID", value: "default" },
      {
        name: "CULVERT_API_TOKEN",
        valueFrom: { secretKeyRef: { name: "everything-secrets", key: "api-token" } },
      },
    ]);
  });
});
