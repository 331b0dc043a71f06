import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeTestCertificate } from "../../support/certificate.ts";
import { Child } from "../../support/child.ts";
import { atEnd, temporaryFolder } from "../../support/cleanup.ts";
import { eventually, Hopeless } from "../../support/eventually.ts";
import { freePorts } from "../../support/ports.ts";
import { kubectl } from "./kubectl.ts";
import { tool } from "./tools.ts";

const START_MS = 120_000;

/** A Kubernetes API server of the tests, with an etcd of its own. Both end with the file's tests. */
export interface ApiServer {
  /** A kubeconfig of its administrator. */
  readonly kubeconfig: string;
  /** Kubernetes' version, `v1.34.1`. */
  readonly version: string;
}

export async function startApiServer(): Promise<ApiServer> {
  const folder = await temporaryFolder();
  const [client = 0, peer = 0, port = 0] = await freePorts(3);
  const etcd = await startEtcd(folder, client, peer);
  const { cert, key } = await writeTestCertificate(folder);
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    privateKeyEncoding: { type: "sec1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const token = randomBytes(24).toString("hex");
  const files = {
    signer: written(folder, "service-accounts.key", privateKey),
    accounts: written(folder, "service-accounts.pub", publicKey),
    tokens: written(folder, "tokens.csv", `${token},admin,admin,"system:masters"\n`),
  };
  const server = new Child(tool("kube-apiserver"), [
    `--etcd-servers=${etcd}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${cert}`,
    `--tls-private-key-file=${key}`,
    `--service-account-signing-key-file=${files.signer}`,
    `--service-account-key-file=${files.accounts}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    "--service-cluster-ip-range=10.96.0.0/16",
    `--token-auth-file=${files.tokens}`,
    "--authorization-mode=RBAC",
    // There is no controller that would make the ServiceAccounts of namespaces.
    "--disable-admission-plugins=ServiceAccount",
    "--allow-privileged=true",
  ]);
  atEnd(() => server.stop());
  const url = `https://127.0.0.1:${port}`;
  const kubeconfig = written(folder, "kubeconfig", kubeconfigOf(url, readFileSync(cert), token));
  const access = { kubeconfig };
  await eventually(
    "the API server is ready",
    async () => {
      if (server.ended) throw new Hopeless(`kube-apiserver ended; it wrote:\n${server.output.slice(-4000)}`);
      if (kubectl(access, ["get", "--raw", "/readyz"]).code === 0) return true;
      // kubectl is waited for, so that only here what the processes do is seen.
      await sleep(500);
      return undefined;
    },
    START_MS,
  );
  const answer: { gitVersion: string } = JSON.parse(kubectl(access, ["get", "--raw", "/version"]).stdout);
  return { kubeconfig, version: answer.gitVersion };
}

async function startEtcd(folder: string, client: number, peer: number): Promise<string> {
  const data = join(folder, "etcd");
  await mkdir(data, { mode: 0o700 });
  const url = `http://127.0.0.1:${client}`;
  const peers = `http://127.0.0.1:${peer}`;
  const etcd = new Child(tool("etcd"), [
    ...["--data-dir", data, "--unsafe-no-fsync"],
    ...["--listen-client-urls", url, "--advertise-client-urls", url],
    ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
    ...["--initial-cluster", `default=${peers}`],
  ]);
  atEnd(() => etcd.stop());
  await eventually(
    "etcd is healthy",
    async () => {
      if (etcd.ended) throw new Hopeless(`etcd ended; it wrote:\n${etcd.output.slice(-4000)}`);
      const answer = await fetch(`${url}/health`);
      return answer.ok ? true : undefined;
    },
    START_MS,
  );
  return url;
}

function written(folder: string, name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

function kubeconfigOf(server: string, authority: Buffer, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority-data": authority.toString("base64") } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
  });
}
