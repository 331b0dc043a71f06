import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ApiAccess } from "./api.ts";
import { writeTestCertificate } from "./certificate.ts";
import { Child } from "./child.ts";
import { atEnd, temporaryFolder } from "./cleanup.ts";
import { eventually, Hopeless } from "./eventually.ts";
import { freePorts } from "./ports.ts";
import { CULVERT } from "./repo.ts";

export type ServiceName = "credential" | "relay" | "stun" | "signaling";

/** The four services, each a process with its own configuration file. They share the token of the key feed. */
export interface Fleet {
  readonly access: ApiAccess;
  readonly relay: { readonly port: number; readonly tlsPort: number };
  readonly stunPort: number;
  readonly signalingUrl: string;
  readonly processes: Readonly<Record<ServiceName, Child>>;
  /** The answer of `/healthz/ready`. */
  readiness(service: ServiceName): Promise<{ readonly status: number; readonly body: unknown }>;
  opsUrl(service: ServiceName): string;
}

/** For a process that hangs; one that ends is noticed at once. */
const START_TIMEOUT_MS = 60_000;
const HOST = "127.0.0.1";

/** The command that runs a service with these words. `folder` has its files. */
export type Launch = (words: readonly string[], folder: string) => readonly string[];

const fromRepository: Launch = (words) => [process.execPath, CULVERT, ...words];

/** Starts the relay, STUN and signaling before the service that they follow: order must not matter. */
export async function startFleet(launch: Launch = fromRepository): Promise<Fleet> {
  const folder = await temporaryFolder();
  const certificate = await writeTestCertificate(folder);
  const [port = 0, tlsPort = 0, stunPort = 0, http = 0, grpc = 0, ws = 0, ...ops] = await freePorts(10);
  const feed = { target: `${HOST}:${grpc}`, token: "shared-by-the-services" };
  const access = { apiUrl: `http://${HOST}:${http}`, keyId: "first", token: "an-api-token-of-the-tenant" };
  const opsPorts: Readonly<Record<ServiceName, number>> = {
    credential: ops[0] ?? 0,
    relay: ops[1] ?? 0,
    stun: ops[2] ?? 0,
    signaling: ops[3] ?? 0,
  };
  const listeners = ["udp", "tcp"].map((transport) => ({ transport, ip: HOST, port }));
  const sections: Readonly<Record<ServiceName, object>> = {
    relay: {
      listeners: [...listeners, { transport: "tls", ip: HOST, port: tlsPort }],
      tls: certificate,
      addresses: [HOST],
      ports: { min: 26_000, max: 26_999 },
      credential: feed,
    },
    stun: { listeners: [{ transport: "udp", ip: HOST, port: stunPort }] },
    signaling: { listen: { port: ws }, credential: feed },
    credential: {
      http: { port: http },
      grpc: { port: grpc, token: feed.token },
      publicHost: HOST,
      turn: { stunPort, port, tlsPort },
      tenants: [
        {
          id: "default",
          keys: [{ kid: access.keyId, secret: "the signing key of the tenant" }],
          tokens: [{ id: "app", token: access.token, scopes: ["credentials:issue", "signaling:issue"] }],
        },
      ],
    },
  };

  const start = async (service: ServiceName): Promise<Child> => {
    const file = join(folder, `${service}.yaml`);
    const section = { ...sections[service], ops: { port: opsPorts[service] } };
    await writeFile(file, JSON.stringify({ [service]: section }, null, 2));
    const [program = "", ...words] = launch([service, "--config", file], folder);
    const child = new Child(program, words);
    atEnd(() => child.stop());
    return child;
  };
  const readiness: Fleet["readiness"] = async (service) => {
    const response = await fetch(`http://${HOST}:${opsPorts[service]}/healthz/ready`);
    return { status: response.status, body: await response.json() };
  };

  const processes = {
    relay: await start("relay"),
    stun: await start("stun"),
    signaling: await start("signaling"),
    credential: await start("credential"),
  };
  for (const service of ["credential", "relay", "stun", "signaling"] as const) {
    await eventually(
      `${service} is ready`,
      async () => {
        const { ended, output } = processes[service];
        if (ended) throw new Hopeless(`${service} ended:\n${output}`);
        const answer = await readiness(service).catch((error: unknown) => ({ status: 0, body: String(error) }));
        if (answer.status !== 200)
          throw new Error(`${answer.status} ${JSON.stringify(answer.body)}; it wrote:\n${output}`);
        return true;
      },
      START_TIMEOUT_MS,
    );
  }
  return {
    access,
    relay: { port, tlsPort },
    stunPort,
    signalingUrl: `ws://${HOST}:${ws}/v1/signaling`,
    processes,
    readiness,
    opsUrl: (service) => `http://${HOST}:${opsPorts[service]}`,
  };
}
