import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { Child, requireProgram, run } from "../support/child.ts";
import { atEnd, temporaryFolder } from "../support/cleanup.ts";
import { eventually, Hopeless } from "../support/eventually.ts";
import { makeNetwork, type Network, runInside } from "../support/network.ts";
import { CULVERT } from "../support/repo.ts";

interface ComposeService {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

const DEPLOY = fileURLToPath(new URL("../../deploy", import.meta.url));
const TIMEOUT_MS = 60_000;
const OWN = ["credential", "relay", "stun", "signaling"] as const;

let variables: Readonly<Record<string, string>>;
let services: Readonly<Record<string, ComposeService>>;
let volumes: Readonly<Record<string, unknown>>;

/** Variables as Compose puts them in: those of `make-env`. */
function interpolate(text: string): string {
  return text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, other?: string) => {
    const value = variables[name] ?? (kind === "-" ? other : undefined);
    if (value === undefined) throw new Error(`make-env does not print ${name}`);
    return value;
  });
}

beforeAll(async () => {
  const { stdout } = await run(join(DEPLOY, "make-env"), [], { timeoutMs: TIMEOUT_MS });
  variables = Object.fromEntries(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=", 2)),
  );
  const text = interpolate(readFileSync(join(DEPLOY, "compose.yaml"), "utf8"));
  ({ services, volumes } = parse(text, { merge: true }));
});

describe("compose.yaml", () => {
  test("has the platform and what it works with, at one version each", () => {
    expect(Object.keys(services).sort()).toEqual(
      [...OWN, "collector", "grafana", "jaeger", "nats", "prometheus", "redis"].sort(),
    );
    for (const [name, { image }] of Object.entries(services)) {
      if (OWN.some((own) => own === name)) expect(image).toBe("culvert:dev");
      else expect(image).toMatch(/^docker\.io\/[a-z/-]+:v?\d+\.\d+\.\d+(-alpine)?$/);
    }
  });

  test("names folders and files that are there, volumes that it declares, and services that it has", () => {
    for (const service of Object.values(services)) {
      for (const volume of service.volumes ?? []) {
        const [source = ""] = volume.split(":");
        if (source.startsWith(".")) expect(existsSync(join(DEPLOY, source)), source).toBe(true);
        else expect(volumes).toHaveProperty(source);
      }
      for (const name of Object.keys(service.depends_on ?? {})) expect(services).toHaveProperty(name);
    }
  });
});

/** Compose's network: each name leads to the one address, since the ports differ. */
const IP = "172.30.0.2";
const PROMETHEUS = "127.0.0.1:9990";

describe.sequential("what it starts, with the real programs in a network of their own", () => {
  let network: Network;
  let folder: string;
  const running = new Map<string, Child>();

  beforeAll(async () => {
    network = await makeNetwork({ ip: IP, hosts: Object.fromEntries(Object.keys(services).map((name) => [name, IP])) });
    folder = await temporaryFolder();
  });

  const commandOf = (name: string): readonly string[] => services[name]?.command ?? [];

  function start(name: string, ...words: readonly string[]): Child {
    const [program, ...rest] = network.inside(...words);
    const child = new Child(program, rest, { cwd: folder, env: services[name]?.environment ?? {} });
    atEnd(() => child.stop());
    running.set(name, child);
    return child;
  }

  function startOwn(name: (typeof OWN)[number]): void {
    const words = commandOf(name).map((word) => word.replace("/etc/culvert/", `${DEPLOY}/`));
    start(name, process.execPath, CULVERT, ...words);
  }

  /** Runs its health check as Compose does, until it passes. */
  async function healthy(name: string): Promise<void> {
    const [, ...words] = services[name]?.healthcheck?.test ?? [];
    await eventually(
      `${name} is healthy`,
      async () => {
        const child = running.get(name);
        if (child?.ended) throw new Hopeless(`${name} ended:\n${child.output}`);
        const { code, stderr } = await runInside(network, ...words);
        if (code !== 0) throw new Error(`${stderr} ${child?.output}`);
        return true;
      },
      TIMEOUT_MS,
    );
  }

  const inCulvert = (...words: readonly string[]) => runInside(network, process.execPath, CULVERT, ...words);
  const access = () => [
    "--api-url",
    "http://127.0.0.1:8080",
    "--key-id",
    "compose",
    "--token",
    variables.CULVERT_API_TOKEN ?? "",
  ];

  async function relays(transport: string): Promise<void> {
    const { code, stdout, stderr } = await inCulvert(
      "ping-turn",
      `turn:127.0.0.1:3478?transport=${transport}`,
      ...access(),
    );
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/relayed address 127\.0\.0\.1:500\d\d,/);
  }

  test("Redis and NATS take the words, and the services are healthy", async () => {
    start("redis", ...commandOf("redis"), "--dir", folder);
    const store = commandOf("nats").map((word) => word.replace("/data", folder));
    start("nats", requireProgram("/usr/sbin/nats-server", "nats-server"), ...store);
    for (const name of OWN) startOwn(name);
    for (const name of OWN) await healthy(name);
  });

  test("credentials name the published ports, and the relay relays", async () => {
    const { stdout } = await inCulvert("credentials", "issue", ...access());
    const urls = JSON.parse(stdout).iceServers.flatMap((server: { urls: string[] }) => server.urls);
    expect(urls).toEqual([
      "stun:127.0.0.1:3480",
      "turn:127.0.0.1:3478?transport=udp",
      "turn:127.0.0.1:3478?transport=tcp",
    ]);
    for (const transport of ["udp", "tcp"]) await relays(transport);
    const ports = services.relay?.ports ?? [];
    expect(ports).toEqual(expect.arrayContaining(["3478:3478/udp", "3478:3478/tcp", "50000-50099:50000-50099/udp"]));
  });

  test("the relay that takes the place of a killed one has its ports, and operators see it", async () => {
    await running.get("relay")?.stop("SIGKILL");
    startOwn("relay");
    await healthy("relay");
    await relays("udp");
    const { stdout } = await inCulvert(
      "relays",
      "--endpoint",
      "127.0.0.1:9191",
      "--token",
      variables.CULVERT_OPERATOR_TOKEN ?? "",
    );
    expect(stdout).toMatch(/^relay-0 +serving +\d+ +100 /m);
  });

  test("Prometheus finds all of them", async () => {
    const text = readFileSync(join(DEPLOY, "prometheus.yaml"), "utf8");
    const rules = fileURLToPath(new URL("../../charts/culvert/rules", import.meta.url));
    const config = join(folder, "prometheus.yaml");
    await writeFile(config, text.replace("/etc/prometheus/rules", rules).replaceAll("15s", "1s"));
    const program = requireProgram("/usr/bin/prometheus", "prometheus");
    const check = await run("/usr/bin/promtool", ["check", "config", config], { timeoutMs: TIMEOUT_MS });
    expect(check.code, `${check.stdout}${check.stderr}`).toBe(0);
    expect(check.stdout).toMatch(/rules\/alerts\.yaml\n +SUCCESS: \d+ rules found/);
    const data = join(folder, "prometheus");
    start(
      "prometheus",
      program,
      `--config.file=${config}`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=${PROMETHEUS}`,
    );
    const query = `fetch("http://${PROMETHEUS}/api/v1/query?query=up").then((r) => r.text()).then(console.log)`;
    const up = await eventually(
      "Prometheus has scraped all four",
      async () => {
        const { stdout } = await runInside(network, process.execPath, "-e", query);
        const found: { metric: Record<string, string>; value: [number, string] }[] = JSON.parse(stdout).data.result;
        const seen = found.filter(({ value }) => value[1] === "1").map(({ metric }) => metric);
        return seen.length === OWN.length ? seen : undefined;
      },
      TIMEOUT_MS,
    );
    expect(up.map(({ namespace, instance }) => `${namespace} ${instance}`).sort()).toEqual(
      [...OWN].sort().map((name) => `compose ${name}`),
    );
  });

  test("all stop in time", async () => {
    for (const name of OWN) expect(await running.get(name)?.stop("SIGTERM"), name).toEqual({ code: 0, signal: null });
  });
});
