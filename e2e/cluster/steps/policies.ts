import { eventually } from "../../support/eventually.ts";
import { CULVERT_TAGS, IMAGES } from "../images/names.ts";
import type { Step } from "./step.ts";

const NAMESPACE = "elsewhere";
const POD = "stranger";
const DONE_MS = 60_000;
const CONNECT_MS = 3000;

/** Services of the release, and whether a stranger of the cluster may reach them. */
const SERVICES = [
  { component: "credential", port: 8080, open: true },
  { component: "signaling", port: 8081, open: true },
  { component: "credential-internal", port: 9090, open: false },
  { component: "redis", port: 6379, open: false },
  { component: "nats", port: 4222, open: false },
] as const;

/** Tries to connect to each "name:port", and prints those that it reached as a JSON list. */
const PROBE = `
const reach = (target) => new Promise((resolve) => {
  const [host, port] = target.split(":");
  const socket = require("node:net").connect({ host, port: Number(port) });
  const end = (reached) => { socket.destroy(); resolve(reached ? [target] : []); };
  socket.setTimeout(${CONNECT_MS}, () => end(false)).on("connect", () => end(true)).on("error", () => end(false));
});
Promise.all(process.argv.slice(1).map(reach)).then((reached) => console.log(JSON.stringify(reached.flat())));
`;

/** What a pod of another namespace reaches: the public API and signaling, not what is behind them. */
export const policies: Step = {
  name: "network policies",
  async run({ cluster, names, stage }) {
    const target = ({ component, port }: (typeof SERVICES)[number]): string =>
      `${names.component(component)}.${names.namespace}.svc:${port}`;
    const security = {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    };
    const container = {
      name: POD,
      image: `${IMAGES.culvert}:${CULVERT_TAGS.first}`,
      imagePullPolicy: "Never",
      command: ["node", "-e", PROBE, ...SERVICES.map(target)],
      securityContext: security,
    };
    stage.atEnd(() => cluster.kubectl(["delete", "namespace", NAMESPACE, "--timeout=60s"], { timeoutMs: 70_000 }));
    await cluster.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: POD, namespace: NAMESPACE },
        spec: { restartPolicy: "Never", automountServiceAccountToken: false, containers: [container] },
      },
    ]);
    await eventually(
      "the stranger's pod is done",
      async () => {
        const [pod] = await cluster.pods(NAMESPACE);
        return pod?.status.phase === "Succeeded" ? true : undefined;
      },
      DONE_MS,
    );
    const reached: readonly string[] = JSON.parse(await cluster.kubectl(["-n", NAMESPACE, "logs", POD]));
    const open = SERVICES.filter((service) => service.open).map(target);
    return [
      {
        what: "public services that a stranger in the cluster reaches",
        value: open.filter((service) => reached.includes(service)).length,
        unit: "services",
        atLeast: open.length,
      },
      {
        what: "others that it reaches",
        value: reached.filter((service) => !open.includes(service)).length,
        unit: "services",
        atMost: 0,
      },
    ];
  },
};
