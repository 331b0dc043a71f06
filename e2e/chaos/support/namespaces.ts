import { run } from "../../support/child.ts";
import type { Stage } from "./stage.ts";

const TIMEOUT_MS = 60_000;

/** Runs `ip`. Fails with what it wrote. */
async function ip(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run("ip", args, { timeoutMs: TIMEOUT_MS });
  if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.trim()}`);
  return stdout;
}

/** Whether network namespaces can be made here. */
export function canMakeNamespaces(): boolean {
  return process.platform === "linux" && process.getuid?.() === 0;
}

/** A host of a small network of its own: a network namespace with one interface on a common switch. */
export interface Host {
  readonly namespace: string;
  readonly ip: string;
  addAddress(ip: string): Promise<void>;
  removeAddress(ip: string): Promise<void>;
  /** Pulls the cable. */
  unplug(): Promise<void>;
  plugIn(): Promise<void>;
  /** Makes this host send what it has for `ip` to `host`, whoever else has the address. */
  pointTo(ip: string, host: Host): Promise<void>;
  /** From now on nothing that this host sends reaches the other. */
  cutFrom(host: Host): Promise<void>;
  /** Ends what `cutFrom` did. */
  heal(): Promise<void>;
  readonly mac: string;
}

/** Hosts 10.77.0.1, .2 and so on, on one switch, without a way to anywhere else. */
export async function makeNetwork(stage: Stage, names: readonly string[]): Promise<readonly Host[]> {
  const prefix = `cv${process.pid}`;
  const hub = `${prefix}-hub`;
  await addNamespace(stage, hub);
  await ip("-n", hub, "link", "add", "br0", "type", "bridge");
  await ip("-n", hub, "link", "set", "br0", "up");
  const hosts: Host[] = [];
  for (const [index, name] of names.entries()) hosts.push(await addHost(stage, hub, `${prefix}-${name}`, index + 1));
  return hosts;
}

async function addNamespace(stage: Stage, namespace: string): Promise<void> {
  await ip("netns", "add", namespace);
  stage.atEnd(() => ip("netns", "del", namespace));
  await ip("-n", namespace, "link", "set", "lo", "up");
}

async function addHost(stage: Stage, hub: string, namespace: string, number: number): Promise<Host> {
  const port = `port${number}`;
  const address = `10.77.0.${number}`;
  await addNamespace(stage, namespace);
  await ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace);
  await ip("-n", hub, "link", "set", port, "master", "br0", "up");
  // An address that moves is announced, so that others learn where it is now.
  await ip("netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.conf.all.arp_notify=1");
  await ip("netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1");
  await ip("-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
  await ip("-n", namespace, "link", "set", "eth0", "up");
  const [, mac = ""] = /link\/ether (\S+)/.exec(await ip("-n", namespace, "link", "show", "eth0")) ?? [];
  const cuts: string[] = [];
  return {
    namespace,
    ip: address,
    mac,
    cutFrom: async (host) => {
      cuts.push(host.ip);
      await ip("-n", namespace, "route", "add", "blackhole", `${host.ip}/32`);
    },
    heal: async () => {
      for (const cut of cuts.splice(0)) await ip("-n", namespace, "route", "del", "blackhole", `${cut}/32`);
    },
    addAddress: async (moved) => {
      await ip("-n", namespace, "addr", "add", `${moved}/24`, "dev", "eth0");
    },
    removeAddress: async (moved) => {
      await ip("-n", namespace, "addr", "del", `${moved}/24`, "dev", "eth0");
    },
    unplug: async () => {
      await ip("-n", hub, "link", "set", port, "down");
    },
    plugIn: async () => {
      await ip("-n", hub, "link", "set", port, "up");
    },
    pointTo: async (moved, host) => {
      await ip("-n", namespace, "neigh", "replace", moved, "lladdr", host.mac, "dev", "eth0", "nud", "permanent");
    },
  };
}
