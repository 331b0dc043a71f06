import { readdirSync, readFileSync } from "node:fs";

const PAGE = 4096;

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
  return pages * PAGE;
}

/** How many file descriptors a process has open. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Seconds for which threads of a process have been ready to run and had no core to run on, since each started. */
export function secondsWaited(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const delays = readdirSync(tasks).map((thread) => {
    try {
      return Number(readFileSync(`${tasks}/${thread}/schedstat`, "utf8").split(" ")[1]);
    } catch {
      // It has ended meanwhile.
      return 0;
    }
  });
  return delays.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e9;
}

/** Datagrams that full sockets of this network namespace made the kernel throw away. */
export function kernelDrops(snmp: string = readFileSync("/proc/net/snmp", "utf8")): number {
  const [names = [], values = []] = [...snmp.matchAll(/^Udp: (.*)$/gm)].map(([, line = ""]) => line.split(" "));
  const value = (name: string): number => Number(values[names.indexOf(name)] ?? 0);
  return value("RcvbufErrors") + value("MemErrors");
}
