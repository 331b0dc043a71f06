import { expect, test } from "vitest";
import { render } from "./support/helm.ts";
import { find, named } from "./support/manifests.ts";

const BEHAVIOUR = {
  scaleUp: expect.objectContaining({ stabilizationWindowSeconds: 0 }),
  scaleDown: { stabilizationWindowSeconds: 1800, policies: [{ type: "Pods", value: 1, periodSeconds: 600 }] },
};

test("an HPA scales relays on CPU and on allocations, out at once and in slowly", () => {
  const manifests = render({ file: "loadbalancer-values.yaml" });
  expect(find(manifests, "HorizontalPodAutoscaler", "culvert-relay").spec).toEqual({
    scaleTargetRef: { apiVersion: "apps/v1", kind: "StatefulSet", name: "culvert-relay" },
    minReplicas: 2,
    maxReplicas: 4,
    metrics: [
      {
        type: "ContainerResource",
        containerResource: {
          name: "cpu",
          container: "relay",
          target: { type: "Utilization", averageUtilization: 60 },
        },
      },
      {
        type: "Pods",
        pods: {
          metric: { name: "culvert_relay_allocations_ratio" },
          target: { type: "AverageValue", averageValue: "650m" },
        },
      },
    ],
    behavior: BEHAVIOUR,
  });
  expect(find(manifests, "StatefulSet", "culvert-relay").spec?.replicas).toBeUndefined();
});

test("KEDA asks Prometheus for the same, and makes the HPA itself", () => {
  const manifests = render({ file: "loadbalancer-shared-values.yaml" });
  expect(named(manifests, "HorizontalPodAutoscaler")).toEqual([]);
  expect(find(manifests, "ScaledObject", "culvert-relay").spec).toMatchObject({
    scaleTargetRef: { apiVersion: "apps/v1", kind: "StatefulSet", name: "culvert-relay" },
    minReplicaCount: 1,
    maxReplicaCount: 3,
    advanced: { horizontalPodAutoscalerConfig: { behavior: BEHAVIOUR } },
    triggers: [
      { type: "cpu", metricType: "Utilization", metadata: { containerName: "relay", value: "60" } },
      {
        type: "prometheus",
        metricType: "AverageValue",
        metadata: {
          serverAddress: "http://prometheus.monitoring:9090",
          query:
            'sum(culvert_relay_allocations{namespace="voice"}) / avg(culvert_relay_allocations_capacity{namespace="voice"})',
          threshold: "0.65",
        },
      },
    ],
  });
  expect(find(manifests, "StatefulSet", "culvert-relay").spec?.replicas).toBeUndefined();
});

test("the API and signaling scale on CPU", () => {
  const manifests = render({ file: "production-hostnetwork-values.yaml" });
  expect(find(manifests, "HorizontalPodAutoscaler", "culvert-credential").spec).toMatchObject({
    scaleTargetRef: { kind: "Deployment", name: "culvert-credential" },
    minReplicas: 3,
    maxReplicas: 9,
  });
  expect(find(manifests, "Deployment", "culvert-credential").spec?.replicas).toBeUndefined();
});
