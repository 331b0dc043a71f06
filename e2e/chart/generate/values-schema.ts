import {
  closed,
  flag,
  having,
  implies,
  type JsonSchema,
  kubernetesList,
  kubernetesObject,
  matching,
  oneOf,
  only,
  orNull,
  port,
  text,
  textMap,
  texts,
  whole,
} from "./json-schema.ts";
import { passThroughSchema, SERVICES } from "./service-schemas.ts";

const share: JsonSchema = { type: "number", minimum: 0, maximum: 1 };
const hostAndPort = "^([^\\s:/\\[\\]@,]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?$";
const servers: JsonSchema = { type: "array", items: matching(hostAndPort) };
const natsServers: JsonSchema = { type: "array", items: matching(hostAndPort.replace("^", "^((nats|tls)://)?")) };
const ip = matching("^([0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$");
const optionalIp = matching("^$|^([0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$");
const range = matching("^[0-9a-fA-F:.]+(/[0-9]{1,3})?$");
const cidr = matching("^[0-9a-fA-F:.]+/[0-9]{1,3}$");
const ranges: JsonSchema = { type: "array", items: range };
const cidrs: JsonSchema = { type: "array", items: cidr };
const countOrPercent: JsonSchema = { type: ["integer", "string"], minimum: 0, pattern: "^[0-9]+%$" };
const duration = matching("^([0-9]+(h|m|s))+$");
const secretName = matching("^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$");
const url = matching("^$|^https?://");

const image = closed({
  repository: matching("^[^\\s:@]+(:[0-9]+/[^\\s:@]+)?$"),
  tag: text,
  digest: matching("^(sha256:[0-9a-f]{64})?$"),
  pullPolicy: oneOf("IfNotPresent", "Always", "Never"),
});

const clientTls = closed({ enabled: flag, existingSecret: secretName, clientCertificate: flag });
const persistence = closed({ enabled: flag, size: text, storageClass: text });
const placement = {
  resources: kubernetesObject,
  nodeSelector: textMap,
  tolerations: kubernetesList,
  affinity: kubernetesObject,
};

/** What every service of the platform takes. */
const workload = {
  preStopSeconds: whole(0, 600),
  pdb: closed({ enabled: flag, maxUnavailable: countOrPercent }),
  serviceAccount: closed({ create: flag, name: text, annotations: textMap }),
  ...placement,
  podAnnotations: textMap,
  podLabels: textMap,
  topologySpreadConstraints: kubernetesList,
  priorityClassName: text,
  extraEnv: kubernetesList,
  extraEnvFrom: kubernetesList,
  extraVolumes: kubernetesList,
  extraVolumeMounts: kubernetesList,
  extraContainers: kubernetesList,
};

const httpWorkload = {
  ...workload,
  replicas: whole(1),
  service: closed({ type: oneOf("ClusterIP", "NodePort", "LoadBalancer"), port, annotations: textMap }),
  ingress: closed({
    enabled: flag,
    className: text,
    annotations: textMap,
    hosts: {
      type: "array",
      items: {
        ...closed({
          host: text,
          paths: {
            type: "array",
            items: closed({ path: matching("^/"), pathType: oneOf("Prefix", "Exact", "ImplementationSpecific") }),
          },
        }),
        required: ["host"],
      },
    },
    tls: kubernetesList,
  }),
  strategy: kubernetesObject,
  autoscaling: closed({ enabled: flag, minReplicas: whole(1), maxReplicas: whole(1), cpuPercent: whole(1, 100) }),
};

const listener = closed({ enabled: flag, port });
const listeners = closed({ udp: listener, tcp: listener, tls: listener });
const antiAffinity = oneOf("required", "preferred", "none");
const monitor = closed({ enabled: flag, labels: textMap, interval: duration });

const relay = closed({
  ...workload,
  mode: oneOf("hostNetwork", "loadBalancer"),
  replicas: whole(0),
  realm: { type: "string", minLength: 1, maxLength: 127 },
  config: passThroughSchema(SERVICES.relay),
  listeners,
  ipFamilies: { type: "array", items: oneOf("IPv4", "IPv6"), minItems: 1, uniqueItems: true },
  externalAddress: closed({
    ipv4: optionalIp,
    ipv6: optionalIp,
    allowPrivate: orNull(flag),
    wait: whole(0, 3600),
    node: closed({ enabled: flag, annotation: text }),
    stun: closed({ servers, interval: whole(1, 86_400) }),
  }),
  ports: closed({ min: port, max: port }),
  loadBalancer: closed({
    addressing: oneOf("perRelay", "shared"),
    addresses: { type: "array", items: ip },
    portsPerRelay: whole(2, 100),
    firstPort: whole(1024, 65_535),
    alternatePort: whole(1024, 65_535),
    splitProtocols: flag,
    requestAddress: flag,
    annotations: textMap,
    class: text,
    sourceRanges: cidrs,
    allocateNodePorts: flag,
  }),
  service: closed({
    type: oneOf("ClusterIP", "NodePort", "LoadBalancer"),
    annotations: textMap,
    externalTrafficPolicy: oneOf("Local", "Cluster"),
  }),
  headlessService: closed({ annotations: textMap }),
  meshPort: port,
  opsPort: port,
  admin: closed({ enabled: flag, port }),
  lifetime: closed({ default: whole(1, 86_400), max: whole(1, 86_400) }),
  quotas: closed({ user: orNull(whole(1)), tenant: orNull(whole(1)), total: orNull(whole(1)) }),
  peers: closed({ allow: ranges, deny: ranges, backends: texts }),
  drain: closed({ timeout: orNull(whole(0, 604_800)) }),
  terminationGracePeriodSeconds: orNull(whole(0)),
  updateStrategy: kubernetesObject,
  antiAffinity,
  autoscaling: closed({
    enabled: flag,
    minReplicas: whole(1),
    maxReplicas: whole(1, 100),
    cpuPercent: whole(0, 100),
    allocationsPercent: whole(0, 100),
    allocationsMetric: text,
    behavior: kubernetesObject,
    keda: closed({ enabled: flag, serverAddress: url, pollingInterval: whole(1, 3600), annotations: textMap }),
  }),
  rbac: closed({ create: flag }),
});

const stun = closed({
  ...workload,
  enabled: flag,
  mode: oneOf("hostNetwork", "loadBalancer", "cluster"),
  replicas: whole(1),
  publicHost: text,
  config: passThroughSchema(SERVICES.stun),
  listeners,
  behaviourDiscovery: closed({ enabled: flag, port, partnerPort: port }),
  opsPort: port,
  service: closed({
    annotations: textMap,
    loadBalancerIP: optionalIp,
    loadBalancerClass: text,
    loadBalancerSourceRanges: cidrs,
    externalTrafficPolicy: oneOf("Local"),
  }),
  antiAffinity,
  terminationGracePeriodSeconds: whole(0),
});

const SEVERAL = { minimum: 2 };

/** The JSON schema of the chart's values (charts/culvert/values.schema.json). */
export const VALUES_SCHEMA: JsonSchema = {
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "Values of the chart culvert",
  ...closed({
    global: kubernetesObject,
    nameOverride: text,
    fullnameOverride: text,
    commonLabels: textMap,
    commonAnnotations: textMap,
    listenAddress: ip,
    logLevel: oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
    image,
    imagePullSecrets: kubernetesList,
    publicHost: matching("^[^\\s/]*$"),
    uris: { type: "array", items: matching("^(stun|stuns|turn|turns):") },
    podSecurityContext: kubernetesObject,
    containerSecurityContext: kubernetesObject,
    secrets: closed({
      existingSecret: secretName,
      keys: closed(
        Object.fromEntries(
          [
            ...["adminToken", "apiToken", "keyFeedToken", "relayAdminToken", "stunPartnerToken", "fleetSecrets"],
            "tenants",
          ].map((key) => [key, matching("^[-._a-zA-Z0-9]+$")]),
        ),
      ),
      fleetRotation: whole(0),
    }),
    tls: closed({
      existingSecret: secretName,
      certManager: closed({
        enabled: flag,
        issuerRef: closed({ name: text, kind: text, group: text }),
        dnsNames: texts,
        duration,
        renewBefore: duration,
      }),
    }),
    redis: closed({
      enabled: flag,
      image,
      persistence,
      ...placement,
      external: closed({
        url: matching("^$|^rediss?://([^\\s:/\\[\\]@,]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?/?$"),
        sentinels: servers,
        master: text,
        cluster: servers,
        database: whole(0, 65_535),
        username: text,
        sentinelUsername: text,
        existingSecret: secretName,
        passwordKey: text,
        sentinelPasswordKey: text,
        prefix: matching("^[A-Za-z0-9._-]{1,64}$"),
        tls: clientTls,
      }),
    }),
    nats: closed({
      enabled: flag,
      image,
      persistence,
      ...placement,
      external: closed({
        servers: natsServers,
        user: text,
        existingSecret: secretName,
        passwordKey: text,
        tokenKey: text,
        credentialsKey: text,
        tls: clientTls,
      }),
    }),
    telemetry: closed({
      otlp: closed({
        endpoint: url,
        protocol: oneOf("http/protobuf", "http/json", "grpc"),
        existingSecret: secretName,
        headersKey: text,
      }),
      traces: closed({ sampleRatio: share, maxPerSecond: { type: "number", minimum: 0 } }),
      metrics: closed({ enabled: flag, interval: whole(1) }),
    }),
    credential: closed({
      ...httpWorkload,
      config: passThroughSchema(SERVICES.credential),
      keyFeed: closed({ port, tls: closed({ existingSecret: secretName }) }),
      staticAuth: closed({ existingSecret: secretName, key: text }),
      terminationGracePeriodSeconds: whole(0),
    }),
    signaling: closed({
      ...httpWorkload,
      enabled: flag,
      config: passThroughSchema(SERVICES.signaling),
      drain: closed({ timeout: whole(0, 3600) }),
      terminationGracePeriodSeconds: orNull(whole(0)),
    }),
    stun,
    relay,
    networkPolicy: closed({
      enabled: flag,
      dns: kubernetesList,
      apiFrom: kubernetesList,
      signalingFrom: kubernetesList,
      metricsFrom: kubernetesList,
      adminFrom: kubernetesList,
      nodeCIDRs: cidrs,
      backends: kubernetesList,
      apiServerCIDRs: cidrs,
      extraIngress: kubernetesList,
      extraEgress: kubernetesList,
    }),
    gatewayApi: closed({
      enabled: flag,
      udp: kubernetesList,
      tcp: kubernetesList,
      tls: kubernetesList,
      http: kubernetesList,
      tlsHostnames: texts,
      apiHostnames: texts,
      signalingHostnames: texts,
    }),
    monitoring: closed({
      serviceMonitor: monitor,
      podMonitor: monitor,
      prometheusRule: closed({ enabled: flag, labels: textMap, runbookBaseUrl: text }),
      dashboards: closed({ enabled: flag, labels: textMap, annotations: textMap, namespace: text }),
    }),
    tests: closed({ packets: whole(1, 10_000), timeout: whole(1, 600) }),
    extraObjects: { type: "array", items: { type: ["object", "string"] } },
  }),
  // What must go together. Where a refusal needs arithmetic or more words, templates/_validate.tpl has it.
  allOf: [
    implies(
      { relay: having({ mode: only("loadBalancer") }) },
      { relay: { properties: { service: { properties: { externalTrafficPolicy: only("Local") } } } } },
    ),
    implies(
      { relay: having({ mode: only("hostNetwork"), replicas: SEVERAL }) },
      { relay: { properties: { antiAffinity: only("required") } } },
    ),
    ...["enabled", "keda"].map((way) =>
      implies(
        {
          relay: having({
            mode: only("hostNetwork"),
            autoscaling: having({ [way]: way === "enabled" ? only(true) : having({ enabled: only(true) }) }),
          }),
        },
        { relay: { properties: { antiAffinity: only("required") } } },
      ),
    ),
    implies(
      { stun: having({ enabled: only(true), mode: only("hostNetwork"), replicas: SEVERAL }) },
      { stun: { properties: { antiAffinity: only("required") } } },
    ),
    implies(
      { stun: having({ enabled: only(true), behaviourDiscovery: having({ enabled: only(true) }) }) },
      { stun: { properties: { mode: only("hostNetwork") } } },
    ),
    implies(
      { relay: having({ autoscaling: having({ keda: having({ enabled: only(true) }) }) }) },
      { relay: { properties: { autoscaling: { properties: { enabled: only(false) } } } } },
    ),
  ],
};
