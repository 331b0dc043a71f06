import { readFile } from "node:fs/promises";

export type KernelUdpError = "receive-buffer" | "send-buffer";

/** The kernel's names of the counters, IPv4's without and IPv6's with the 6. */
const FIELDS: Readonly<Record<KernelUdpError, string>> = {
  "receive-buffer": "RcvbufErrors",
  "send-buffer": "SndbufErrors",
};

/** Datagrams dropped at full socket buffers since the network namespace began. Empty where the system does not tell. */
export async function kernelUdpErrors(): Promise<Partial<Record<KernelUdpError, number>>> {
  const read = (name: string): Promise<string> => readFile(`/proc/self/net/${name}`, "utf8").catch(() => "");
  return parseKernelUdp(await read("snmp"), await read("snmp6"));
}

/** @param snmp, snmp6 the texts of /proc/net/snmp and /proc/net/snmp6 */
export function parseKernelUdp(snmp: string, snmp6: string): Partial<Record<KernelUdpError, number>> {
  const [names, values] = snmp
    .split("\n")
    .filter((line) => line.startsWith("Udp: "))
    .map((line) => line.split(/\s+/));
  if (names === undefined || values === undefined) return {};
  const entries = Object.entries(FIELDS).map(([kind, field]) => {
    const [, six] = new RegExp(`^Udp6${field}\\s+(\\d+)`, "m").exec(snmp6) ?? [];
    return [kind, Number(values[names.indexOf(field)] ?? 0) + Number(six ?? 0)];
  });
  return Object.fromEntries(entries);
}
