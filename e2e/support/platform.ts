import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ConnectOptions, connectTurn, type TurnClient } from "@culvert/turn-client";
import type { TurnAccount } from "./account.ts";
import { type ApiAccess, accountOf, generateIceServers, type IceServer } from "./api.ts";
import { Child } from "./child.ts";
import { atEnd, temporaryFolder } from "./cleanup.ts";
import { type Sample, scrape } from "./metrics.ts";
import { freePorts } from "./ports.ts";
import { CULVERT } from "./repo.ts";

/** What `culvert up --ready-file` writes. */
export interface Ready extends ApiAccess {
  readonly realm: string;
  readonly iceServers: readonly IceServer[];
  readonly turn: { readonly host: string; readonly port: number; readonly tlsPort: number };
  readonly signalingUrl: string;
  readonly admin: { readonly endpoint: string; readonly token: string };
  readonly opsUrls: Readonly<Record<string, string>>;
}

type Section = Readonly<Record<string, unknown>>;

/** Keys of the configuration file that differ from what the fixture sets. */
export interface Sections {
  readonly relay?: Section;
  readonly stun?: Section;
  readonly credential?: Section;
  readonly signaling?: Section;
}

export type Transport = "udp" | "tcp" | "tls";

/** Below the ephemeral ports, so that no socket of the tests takes one of them. */
const RELAYED_PORTS = { min: 23_000, max: 23_999 };

/** For a process that hangs; one that ends is noticed at once. */
const START_TIMEOUT_MS = 60_000;

const uriOf = (turn: Ready["turn"], transport: Transport, host: string): string => {
  const name = host.includes(":") ? `[${host}]` : host;
  return transport === "tls"
    ? `turns:${name}:${turn.tlsPort}?transport=tcp`
    : `turn:${name}:${turn.port}?transport=${transport}`;
};

/** The standalone platform as a process, on 127.0.0.1 and ::1. */
export class Platform {
  readonly process: Child;
  readonly ready: Ready;
  readonly #clients = new Set<TurnClient>();

  constructor(process: Child, ready: Ready) {
    this.process = process;
    this.ready = ready;
  }

  /** Credentials that the HTTP API issues now. */
  async issue(body: object = {}): Promise<TurnAccount> {
    return accountOf(await generateIceServers(this.ready, body));
  }

  uri(transport: Transport, host: string = this.ready.turn.host): string {
    return uriOf(this.ready.turn, transport, host);
  }

  /** A TURN client with fresh credentials of the API unless others are given. */
  async connect(transport: Transport, options: Partial<ConnectOptions> = {}): Promise<TurnClient> {
    const account = options.username === undefined ? await this.issue() : {};
    const client = await connectTurn({
      uri: this.uri(transport),
      ...account,
      tls: { rejectUnauthorized: false },
      timeoutMs: 30_000,
      ...options,
    });
    this.#clients.add(client);
    return client;
  }

  /** Closes the clients that `connect` made. */
  async closeClients(): Promise<void> {
    for (const client of this.#clients) await client.close();
    this.#clients.clear();
  }

  /** The metrics of a service: relay, stun, credential or signaling. */
  metrics(service: string): Promise<readonly Sample[]> {
    return scrape(`${this.ready.opsUrls[service]}/metrics`);
  }
}

async function listeners(): Promise<{ readonly relay: Section; readonly port: number; readonly tlsPort: number }> {
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const hosts = ["127.0.0.1", "::1"];
  const on = (transport: Transport, at: number): Section[] => hosts.map((ip) => ({ transport, ip, port: at }));
  const all = [...on("udp", port), ...on("tcp", port), ...on("tls", tlsPort)];
  return { relay: { listeners: all, ports: RELAYED_PORTS, ops: { port: 0 } }, port, tlsPort };
}

/** Starts `culvert up` with `sections` on top of ports that are free. It is stopped at the end of the file. */
export async function startPlatform(sections: Sections = {}): Promise<Platform> {
  const folder = await temporaryFolder();
  const config = join(folder, "culvert.yaml");
  const readyFile = join(folder, "ready.json");
  const { relay } = await listeners();
  const document = {
    relay: { ...relay, ...sections.relay },
    stun: {
      listeners: ["udp", "tcp"].map((transport) => ({ transport, ip: "127.0.0.1", port: 0 })),
      ops: { port: 0 },
      ...sections.stun,
    },
    credential: { http: { port: 0 }, ops: { port: 0 }, ...sections.credential },
    signaling: { listen: { port: 0 }, ops: { port: 0 }, ...sections.signaling },
  };
  // JSON is YAML.
  await writeFile(config, JSON.stringify(document, null, 2));
  const child = new Child(process.execPath, [CULVERT, "up", "--config", config, "--ready-file", readyFile]);
  atEnd(() => child.stop());
  await child.until(
    "it was up",
    ({ stdout }) => (stdout.includes("Culvert is up") ? true : undefined),
    START_TIMEOUT_MS,
  );
  return new Platform(child, JSON.parse(await readFile(readyFile, "utf8")));
}
