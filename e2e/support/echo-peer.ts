import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Child, requireProgram } from "./child.ts";
import { atEnd } from "./cleanup.ts";
import { eventually } from "./eventually.ts";
import { freePorts } from "./ports.ts";

/** Starts turnutils_peer, which echoes UDP on 127.0.0.1 and ::1. It is stopped at the end of the file. */
export async function startEchoPeer(): Promise<{ readonly port: number }> {
  const program = requireProgram("/usr/bin/turnutils_peer", "coturn");
  const [port = 0] = await freePorts(1);
  const peer = new Child(program, ["-L", "127.0.0.1", "-L", "::1", "-p", String(port)]);
  atEnd(() => peer.stop());
  for (const host of ["127.0.0.1", "::1"]) {
    await eventually(`${peer.command} echoes on ${host}`, async () => {
      const socket = createSocket(host === "::1" ? "udp6" : "udp4");
      try {
        socket.connect(port, host);
        await once(socket, "connect");
        socket.send("?");
        await once(socket, "message", { signal: AbortSignal.timeout(500) });
        return true;
      } finally {
        socket.close();
      }
    });
  }
  return { port };
}
