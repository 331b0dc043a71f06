import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { freePort as freeTcpPort } from "@culvert/testkit";

const ATTEMPTS = 200;
/** Below the ports that the system gives to sockets that ask for none: one that is free stays free until it is taken. */
const RANGE_START = 24_000;
const RANGE_END = 32_000;

async function udpIsFree(port: number, ip: string): Promise<boolean> {
  const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
  try {
    socket.bind(port, ip);
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

async function tcpIsFree(port: number, ip: string): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, ip);
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = await freeTcpPort();
    const free = ["127.0.0.1", "::1"].map(async (ip) => (await tcpIsFree(port, ip)) && (await udpIsFree(port, ip)));
    if ((await Promise.all(free)).every(Boolean)) return port;
  }
  throw new Error("no port is free for UDP and TCP on 127.0.0.1 and ::1");
}

/** Ports that nobody uses for UDP or TCP on 127.0.0.1 and ::1: for programs that must be told theirs. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

/** A range of ports, below the ephemeral ones, that nobody uses for UDP on 127.0.0.1. */
export async function freeRange(count: number): Promise<{ readonly min: number; readonly max: number }> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const min = randomInt(RANGE_START, RANGE_END - count);
    const ports = Array.from({ length: count }, (_, index) => min + index);
    const free = await Promise.all(ports.map((port) => udpIsFree(port, "127.0.0.1")));
    if (free.every(Boolean)) return { min, max: min + count - 1 };
  }
  throw new Error(`no ${count} ports in a row are free for UDP on 127.0.0.1`);
}
