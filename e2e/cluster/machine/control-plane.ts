import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { Stage } from "../../chaos/support/stage.ts";
import { Child } from "../../support/child.ts";
import { eventually, Hopeless } from "../../support/eventually.ts";
import { ClusterApi } from "./api.ts";
import { API_SERVICE_IP, SERVICE_NETWORK, type Site } from "./network.ts";
import type { Pki } from "./pki.ts";

const PORT = 6443;
const START_MS = 180_000;

export interface ControlPlane {
  /** URL of the API server. */
  readonly server: string;
  /** A kubeconfig that may do anything. */
  readonly admin: string;
  readonly api: ClusterApi;
}

/** etcd, the API server, the controllers and the scheduler, on a host of their own. */
export async function startControlPlane(
  stage: Stage,
  {
    site,
    pki,
    tools,
    folder,
  }: { readonly site: Site; readonly pki: Pki; readonly tools: string; readonly folder: string },
): Promise<ControlPlane> {
  const { ip, namespace } = site.control;
  const server = `https://${ip}:${PORT}`;
  await mkdir(folder, { recursive: true });
  const start = (name: string, args: readonly string[]): Child => {
    const inside = ["netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL"];
    // Their logs go to files: they write a lot, and it is of use only when something went wrong.
    const shell = 'log=$1; shift; exec "$@" >"$log" 2>&1';
    const child = new Child("ip", [
      ...inside,
      "sh",
      "-c",
      shell,
      "-",
      join(folder, `${name}.log`),
      join(tools, name),
      ...args,
    ]);
    stage.atEnd(async () => {
      child.signal("SIGKILL");
      await child.exit(10_000);
    });
    return child;
  };
  const serving = await pki.server("kube-apiserver", [
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
    `IP:${ip}`,
    `IP:${API_SERVICE_IP}`,
  ]);
  const accounts = await pki.keyPair("service-accounts");
  const toKubelet = await pki.client("kube-apiserver-kubelet-client", "system:masters");
  const adminIdentity = await pki.client("admin", "system:masters");
  const admin = await pki.kubeconfig("admin", server, adminIdentity);

  const etcd = join(folder, "etcd");
  await mkdir(etcd, { mode: 0o700 });
  start("etcd", [
    `--data-dir=${etcd}`,
    "--listen-client-urls=http://127.0.0.1:2379",
    "--advertise-client-urls=http://127.0.0.1:2379",
    "--listen-peer-urls=http://127.0.0.1:2380",
    "--unsafe-no-fsync",
  ]);
  const apiServer = start("kube-apiserver", [
    "--etcd-servers=http://127.0.0.1:2379",
    `--advertise-address=${ip}`,
    `--secure-port=${PORT}`,
    `--service-cluster-ip-range=${SERVICE_NETWORK}`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    `--client-ca-file=${pki.ca.cert}`,
    `--tls-cert-file=${serving.cert}`,
    `--tls-private-key-file=${serving.key}`,
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${accounts.pub}`,
    `--service-account-signing-key-file=${accounts.key}`,
    "--kubelet-preferred-address-types=InternalIP",
    `--kubelet-client-certificate=${toKubelet.cert}`,
    `--kubelet-client-key=${toKubelet.key}`,
  ]);
  const api = await ClusterApi.connect(server, pki, adminIdentity);
  stage.atEnd(() => api.close());
  await untilReady(api, apiServer, join(folder, "kube-apiserver.log"));
  const manager = await pki.client("system:kube-controller-manager");
  start("kube-controller-manager", [
    `--kubeconfig=${await pki.kubeconfig("controller-manager", server, manager)}`,
    `--service-account-private-key-file=${accounts.key}`,
    `--root-ca-file=${pki.ca.cert}`,
    `--cluster-signing-cert-file=${pki.ca.cert}`,
    `--cluster-signing-key-file=${pki.ca.key}`,
    "--use-service-account-credentials=true",
    "--leader-elect=false",
  ]);
  const scheduler = await pki.client("system:kube-scheduler");
  start("kube-scheduler", [
    `--kubeconfig=${await pki.kubeconfig("scheduler", server, scheduler)}`,
    "--leader-elect=false",
  ]);
  return { server, admin, api };
}

async function untilReady(api: ClusterApi, process: Child, log: string): Promise<void> {
  await eventually(
    "the API server is ready",
    async () => {
      if (process.ended !== undefined) {
        throw new Hopeless(`kube-apiserver ended; its last lines:\n${await tail(log, 10)}`);
      }
      await api.send("GET", "/readyz");
      return true;
    },
    START_MS,
  );
}

/** The last lines of a file. */
export async function tail(file: string, lines: number): Promise<string> {
  const handle = await open(file).catch(() => undefined);
  if (handle === undefined) return "";
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, 64 << 10);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString("utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } finally {
    await handle.close();
  }
}
