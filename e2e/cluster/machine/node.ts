import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Host } from "../../chaos/support/namespaces.ts";
import type { Stage } from "../../chaos/support/stage.ts";
import { Child } from "../../support/child.ts";
import { eventually, Hopeless } from "../../support/eventually.ts";
import { PAUSE_IMAGE } from "../images/names.ts";
import { tail } from "./control-plane.ts";
import { must } from "./must.ts";
import { DNS_SERVICE_IP, POD_NETWORK, podSubnet } from "./network.ts";
import type { Pki } from "./pki.ts";

const SCRIPT = fileURLToPath(new URL("./node", import.meta.url));
const CONTAINERD_MS = 60_000;
/** What a limit of open files may be without a capability that not every machine grants. */
const OPEN_FILES = 16_384;

export interface NodeOptions {
  readonly index: number;
  readonly host: Host;
  readonly server: string;
  readonly pki: Pki;
  readonly tools: string;
  readonly folder: string;
}

/** A node of the cluster: containerd, kubelet and kube-proxy. */
export class ClusterNode {
  readonly name: string;
  readonly ip: string;
  readonly #folder: string;
  readonly #child: Child;
  readonly #tools: string;

  static async start(stage: Stage, options: NodeOptions): Promise<ClusterNode> {
    const name = `node-${options.index}`;
    const folder = join(options.folder, name);
    await writeFiles(name, folder, options);
    const { CULVERT_CLUSTER_NAME = "culvert-cluster" } = process.env;
    const { host, tools } = options;
    const env = { CULVERT_CLUSTER_NAME, NODE_IP: host.ip };
    const args = ["--pdeathsig", "KILL", SCRIPT, name, host.namespace, folder, tools];
    const node = new ClusterNode(name, folder, new Child("setpriv", args, { env }), options);
    stage.atEnd(() => node.#stop());
    await node.#containerdAnswers();
    return node;
  }

  private constructor(name: string, folder: string, child: Child, { host, tools }: NodeOptions) {
    this.name = name;
    this.ip = host.ip;
    this.#folder = folder;
    this.#child = child;
    this.#tools = tools;
  }

  /** Loads the images of an OCI archive. */
  async load(archive: string): Promise<void> {
    await this.run(["ctr", "-n", "k8s.io", "images", "import", "--snapshotter", "overlayfs", archive]);
  }

  /** Runs a command in the node, with its mounts and processes. */
  async run(command: readonly string[]): Promise<string> {
    const inside = await this.#processOne();
    const path = `PATH=${this.#tools}:${process.env.PATH ?? ""}`;
    return must("nsenter", ["-t", inside, "-m", "-p", "-n", "-i", "-u", "env", path, ...command]);
  }

  /** The last lines of a log: containerd, kubelet or kube-proxy. */
  log(name: string, lines: number): Promise<string> {
    return tail(join(this.#folder, "log", `${name}.log`), lines);
  }

  /** `unshare` has one child, the node's first process. */
  async #processOne(): Promise<string> {
    const children = await must("cat", [`/proc/${this.#child.pid}/task/${this.#child.pid}/children`]);
    return children.trim();
  }

  async #containerdAnswers(): Promise<void> {
    await eventually(
      `containerd of ${this.name} answers`,
      async () => {
        if (this.#child.ended !== undefined) {
          const logs = await Promise.all(["containerd", "kubelet", "kube-proxy"].map((log) => this.log(log, 5)));
          throw new Hopeless(`${this.name} ended: ${this.#child.output}\n${logs.join("\n")}`);
        }
        await this.run(["ctr", "version"]);
        return true;
      },
      CONTAINERD_MS,
    );
  }

  async #stop(): Promise<void> {
    this.#child.signal("SIGKILL");
    await this.#child.exit(20_000);
  }
}

async function writeFiles(name: string, folder: string, { host, index, server, pki }: NodeOptions): Promise<void> {
  await mkdir(join(folder, "cni"), { recursive: true });
  const kubelet = await pki.client(`system:node:${name}`, "system:nodes");
  const proxy = await pki.client("system:kube-proxy");
  const kubeletConfig = await pki.kubeconfig(`kubelet-${name}`, server, kubelet);
  const files: Readonly<Record<string, string>> = {
    "containerd.toml": containerdConfig(folder),
    "kubelet.yaml": JSON.stringify(kubeletConfiguration(folder, host.ip, pki), null, 2),
    "kube-proxy.yaml": JSON.stringify(
      proxyConfiguration(await pki.kubeconfig(`proxy-${name}`, server, proxy)),
      null,
      2,
    ),
    "cni/10-pods.conflist": JSON.stringify(podNetwork(folder, index), null, 2),
    "node.nft": masquerade(),
    // Pods find names by the cluster's server only: there is no other.
    "resolv.conf": "",
  };
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  await must("ln", ["-s", kubeletConfig, join(folder, "kubelet.kubeconfig")]);
}

function containerdConfig(folder: string): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
`;
}

function kubeletConfiguration(folder: string, ip: string, pki: Pki): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: ip,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pki.ca.cert },
    },
    authorization: { mode: "Webhook" },
    cgroupDriver: "cgroupfs",
    clusterDNS: [DNS_SERVICE_IP],
    clusterDomain: "cluster.local",
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    failCgroupV1: false,
    failSwapOn: false,
    // The machine's disk is the tests' too: how full it is says nothing of the cluster.
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    imageGCHighThresholdPercent: 100,
    maxOpenFiles: OPEN_FILES,
    nodeStatusUpdateFrequency: "5s",
    resolvConf: join(folder, "resolv.conf"),
    seccompDefault: true,
    syncFrequency: "10s",
  };
}

function proxyConfiguration(kubeconfig: string): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig },
    clusterCIDR: POD_NETWORK,
    mode: "nftables",
    nftables: { syncPeriod: "10s", minSyncPeriod: "0.2s" },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
}

function podNetwork(folder: string, index: number): object {
  return {
    cniVersion: "1.0.0",
    name: "pods",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          ranges: [[{ subnet: podSubnet(index) }]],
          routes: [{ dst: "0.0.0.0/0" }],
          dataDir: join(folder, "ipam"),
        },
      },
    ],
  };
}

/** Who leaves the cluster does so by its node's address. */
function masquerade(): string {
  return `table ip site {
  chain postrouting {
    type nat hook postrouting priority srcnat + 10; policy accept;
    oifname "eth0" ip saddr ${POD_NETWORK} ip daddr != ${POD_NETWORK} masquerade
  }
}
`;
}
