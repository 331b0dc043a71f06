import { stringify } from "yaml";
import type { Output } from "./culvert-yaml.ts";
import { comment, type Item, yamlDocument } from "./document.ts";
import { header, sources } from "./report.ts";
import { type Entry, type Finding, shownLine } from "./settings.ts";
import type { Translation } from "./translate.ts";
import type { Listener } from "./translate-network.ts";

/** Key of the configuration -> value of the chart that does the same. What is not here goes to `relay.config` or `stun.config`. */
const VALUES: Readonly<Record<string, string>> = {
  "relay.realm": "relay.realm",
  "relay.ports.min": "relay.ports.min",
  "relay.ports.max": "relay.ports.max",
  "relay.lifetime.default": "relay.lifetime.default",
  "relay.lifetime.max": "relay.lifetime.max",
  "relay.quotas.user": "relay.quotas.user",
  "relay.quotas.total": "relay.quotas.total",
  "relay.peers.allow": "relay.peers.allow",
  "relay.peers.deny": "relay.peers.deny",
  "relay.ops.port": "relay.opsPort",
  "relay.logLevel": "logLevel",
  "stun.ops.port": "stun.opsPort",
  "stun.logLevel": "logLevel",
  "stun.alternate.port": "stun.behaviourDiscovery.port",
};

type Rule = (
  entry: Entry,
  names: Names,
) => readonly (Omit<Item, "comments"> & { readonly comments?: readonly string[] })[];

interface Names {
  /** Of the Secret with what is secret. */
  readonly secret: string;
  /** Of the Secret with certificate and key. */
  readonly tls: string;
}

/** Keys of the Secret. */
const STATIC_SECRETS = "static-auth-secrets";
const USERS = "relay-users.yaml";

const at = (path: string, value: unknown, comments: readonly string[] = []) => ({
  path: path.split("."),
  value,
  comments,
});

const listeners: Rule = ({ path: [section = ""], value }) => {
  const all = value as readonly Listener[];
  return (["udp", "tcp", "tls"] as const).flatMap((transport) => {
    const port = all.find((listener) => listener.transport === transport)?.port;
    const key = `${section}.listeners.${transport}`;
    if (port === undefined) return transport === "tls" ? [] : [at(`${key}.enabled`, false)];
    return [at(`${key}.enabled`, true), at(`${key}.port`, port)];
  });
};

const certificate: Rule = ({ path, value }, { tls }) => [
  at("tls.existingSecret", tls, [
    path.at(-1) === "cert"
      ? `kubectl create secret tls ${tls} --cert=${String(value)} --key=<the file of pkey>`
      : `the key: ${String(value)}`,
  ]),
];

/** Keys that take another form in the chart. */
const RULES: Readonly<Record<string, Rule>> = {
  "relay.listeners": listeners,
  "stun.listeners": (entry, names) => [...listeners(entry, names), ...relaysAside(entry.value as readonly Listener[])],
  "relay.tls.cert": certificate,
  "relay.tls.key": certificate,
  "stun.tls.cert": certificate,
  "stun.tls.key": certificate,
  // Pods serve their metrics anyway; who collects them is not coturn's to say.
  "relay.ops.host": () => [],
  "stun.ops.host": () => [],
  "relay.addresses": ({ value }) => externalAddress(value as readonly string[]),
  "relay.auth.secrets": (_entry, { secret }) => [
    at("credential.staticAuth.existingSecret", secret, [
      "Relays learn it from the credential service, which signs with the first.",
    ]),
    at("credential.staticAuth.key", STATIC_SECRETS),
  ],
  "relay.auth.users": (_entry, { secret }) => [
    at("relay.extraEnv", [
      { name: "CULVERT_RELAY_AUTH_USERS", valueFrom: { secretKeyRef: { name: secret, key: USERS } } },
    ]),
  ],
  // Pods with one address each do it in pairs.
  "stun.alternate.ips": () => [at("stun.behaviourDiscovery.enabled", true), at("stun.replicas", 2)],
};

/** The chart installs relays, too. On the nodes' addresses they cannot have the ports that STUN takes. */
function relaysAside(all: readonly Listener[]): ReturnType<Rule> {
  const port = [3480, 3484].find((free) => all.every((listener) => listener.port !== free)) ?? 3488;
  const taken = (["udp", "tcp"] as const).filter((transport) =>
    all.some((listener) => listener.transport === transport && listener.port === 3478),
  );
  const comments = ["Relays are there as well, and make room."];
  return taken.map((transport) => at(`relay.listeners.${transport}.port`, port, comments));
}

/** In a cluster relays have their pods' or nodes' addresses. What clients know them by is the same as before only with one relay. */
function externalAddress(addresses: readonly string[]): ReturnType<Rule> {
  const publics = addresses.flatMap((text) => (text.includes("/") ? [text.split("/", 1)[0] ?? ""] : []));
  const families = { ipv4: publics.filter((ip) => !ip.includes(":")), ipv6: publics.filter((ip) => ip.includes(":")) };
  return Object.entries(families).flatMap(([family, [ip, ...more]]) => {
    if (ip === undefined) return [];
    const comments = ["Of one relay. Without it each relay finds its own: see docs/guides/production.md."];
    if (more.length > 0) comments.push(`The others need relays of their own: ${more.join(", ")}.`);
    return [at(`relay.externalAddress.${family}`, ip, comments)];
  });
}

/** Values for the chart, and a Secret with what is secret. */
export function helmValues(translation: Translation, file: string, secretName: string): Output {
  const names: Names = { secret: secretName, tls: `${secretName}-tls` };
  const items = translation.entries.flatMap((entry): Item[] => {
    const key = entry.path.join(".");
    const rule = RULES[key];
    const made = rule === undefined ? [at(VALUES[key] ?? inConfig(entry.path), entry.value)] : rule(entry, names);
    const from = sources(entry, file);
    return made.map(({ path, value, comments = [] }, index) => ({
      path,
      value,
      comments: [...(index === 0 ? from : []), ...comments],
    }));
  });
  const secrets = translation.entries.filter(({ secret }) => secret);
  const hint = secrets.length === 0 ? [] : [`Secrets are in the Secret ${secretName}, which must be there first.`, ""];
  const findings = translation.findings.map(inChart);
  return {
    findings,
    main: yamlDocument([...header(findings, file), ...hint], items),
    secrets: secrets.length === 0 ? undefined : secretManifest(secrets, secretName, file),
  };
}

function inConfig([section = "", ...keys]: readonly string[]): string {
  return [section, "config", ...keys].join(".");
}

/** Settings of a host mean nothing in a pod. */
function inChart(finding: Finding): Finding {
  const { line, fate } = finding;
  if (fate !== "taken") return finding;
  if (line.name === "relay-ip") return { line, fate: "unneeded", text: "A pod relays on its own address." };
  if (line.name.startsWith("prometheus")) {
    return { line, fate: "unneeded", text: "Pods serve /metrics; monitoring.podMonitor has the operator scrape it." };
  }
  if (line.name === "listening-ip") return { line, fate: "unneeded", text: "A pod listens on its own address." };
  if (line.name === "aux-server") return { line, fate: "none", text: "The chart has one port for each transport." };
  return finding;
}

const SECRET_KEYS: Readonly<Record<string, string>> = {
  "relay.auth.secrets": STATIC_SECRETS,
  "relay.auth.users": USERS,
};

function secretManifest(entries: readonly Entry[], name: string, file: string): string {
  const stringData = Object.fromEntries(
    entries.map(({ path, value }) => [SECRET_KEYS[path.join(".")] ?? path.join("."), `${JSON.stringify(value)}\n`]),
  );
  const comments = entries.flatMap(({ lines }) => lines.map((line) => `${file}:${line.number}: ${shownLine(line)}`));
  const manifest = { apiVersion: "v1", kind: "Secret", metadata: { name }, type: "Opaque", stringData };
  return `${[...comments.map(comment), stringify(manifest, { lineWidth: 0 }).trimEnd()].join("\n")}\n`;
}
