import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Child, run } from "./child.ts";
import { atEnd, temporaryFolder } from "./cleanup.ts";

export interface NetworkOptions {
  /** The address of its one interface that is not the loopback. */
  readonly ip: string;
  /** What its /etc/hosts says: name -> address. */
  readonly hosts: Readonly<Record<string, string>>;
}

/** A network of its own on this machine, with its own ports and names. */
export interface Network {
  /** The command that runs `words` in it. */
  readonly inside: (...words: readonly string[]) => readonly [string, ...string[]];
}

const TIMEOUT_MS = 60_000;

/** Makes such a network. It is gone at the end of the file. As another user than root it takes user namespaces. */
export async function makeNetwork({ ip, hosts }: NetworkOptions): Promise<Network> {
  const file = join(await temporaryFolder(), "hosts");
  const names = Object.entries({ localhost: "127.0.0.1", ...hosts });
  await writeFile(file, names.map(([name, address]) => `${address} ${name}\n`).join(""));
  const setUp = [
    "ip link set lo up",
    "ip link add eth0 type veth peer name eth1",
    "ip link set eth1 up",
    `ip address add ${ip}/24 dev eth0`,
    "ip link set eth0 up",
    `mount --bind ${file} /etc/hosts`,
    "echo ready",
    "exec sleep infinity",
  ].join(" && ");
  const isRoot = process.getuid?.() === 0;
  const own = isRoot ? [] : ["--user", "--map-root-user"];
  const holder = new Child("unshare", [...own, "--net", "--mount", "--propagation=private", "/bin/sh", "-c", setUp]);
  atEnd(() => holder.stop("SIGKILL"));
  await holder.until("its network", ({ stdout }) => (stdout.includes("ready") ? true : undefined), TIMEOUT_MS);
  const enter = ["--target", String(holder.pid), ...(isRoot ? [] : ["--user"]), "--net", "--mount", "--"];
  return { inside: (...words) => ["nsenter", ...enter, ...words] };
}

/** Runs a command in the network to its end. */
export async function runInside(network: Network, ...words: readonly string[]): ReturnType<typeof run> {
  const [program, ...rest] = network.inside(...words);
  return run(program, rest, { timeoutMs: TIMEOUT_MS });
}
