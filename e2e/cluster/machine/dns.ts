import { IMAGES, TAG } from "../images/names.ts";
import { DNS_SERVICE_IP } from "./network.ts";

const COREFILE = `.:53 {
  errors
  health :8080
  ready :8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    ttl 5
  }
  cache 5
}
`;

const NAME = "coredns";
const META = { name: NAME, namespace: "kube-system" } as const;
const LABELS = { "k8s-app": "kube-dns" } as const;
const RULES = [
  { apiGroups: [""], resources: ["endpoints", "services", "pods", "namespaces"], verbs: ["list", "watch"] },
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
] as const;

/** The cluster's name server. */
export function dnsObjects(): readonly object[] {
  const subject = { kind: "ServiceAccount", ...META };
  const role = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: NAME };
  const container = {
    name: NAME,
    image: `${IMAGES.coredns}:${TAG}`,
    imagePullPolicy: "Never",
    args: ["-conf", "/etc/coredns/Corefile"],
    volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
    readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 2 },
  };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: META },
    { apiVersion: "v1", kind: "ConfigMap", metadata: META, data: { Corefile: COREFILE } },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: NAME }, rules: RULES },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: NAME },
      roleRef: role,
      subjects: [subject],
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { ...META, labels: LABELS },
      spec: {
        replicas: 1,
        selector: { matchLabels: LABELS },
        template: {
          metadata: { labels: LABELS },
          spec: {
            serviceAccountName: NAME,
            dnsPolicy: "Default",
            containers: [container],
            volumes: [{ name: "config", configMap: { name: NAME } }],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kube-dns", namespace: META.namespace, labels: LABELS },
      spec: {
        clusterIP: DNS_SERVICE_IP,
        selector: LABELS,
        ports: [
          { name: "dns", port: 53, protocol: "UDP" },
          { name: "dns-tcp", port: 53, protocol: "TCP" },
        ],
      },
    },
  ];
}
