import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { canonicalIp, formatAddress, StreamFramer, type TransportAddress } from "@culvert/stun";
import { describe, refused, TurnError } from "./errors.ts";
import type { Endpoint, Transport, TransportEvents, TransportOptions } from "./transport.ts";

/** How long closing waits for a server that does not read. */
const CLOSE_TIMEOUT_MS = 1000;

function dial({ kind, address, host }: Endpoint, options: TransportOptions): Socket {
  const tcp = connectTcp({
    host: address.ip,
    port: address.port,
    noDelay: true,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    ...(options.localPort ? { localPort: options.localPort } : {}),
  });
  if (kind === "tcp") return tcp;
  const { ca, minVersion, maxVersion, rejectUnauthorized = true, servername = host } = options.tls;
  return connectTls({
    socket: tcp,
    host: servername,
    rejectUnauthorized,
    // SNI carries names only (RFC 6066 section 3).
    ...(isIP(servername) === 0 ? { servername } : {}),
    ...(ca === undefined ? {} : { ca: authorities(ca) }),
    ...(minVersion === undefined ? {} : { minVersion }),
    ...(maxVersion === undefined ? {} : { maxVersion }),
  });
}

function authorities(ca: NonNullable<TransportOptions["tls"]["ca"]>): (string | Buffer)[] {
  const list = typeof ca === "string" || ca instanceof Uint8Array ? [ca] : ca;
  return list.map((item) => (typeof item === "string" ? item : Buffer.from(item)));
}

/** Whether a connection failed after TCP was there: then the fault is TLS's. */
function isTlsFault(kind: Endpoint["kind"], cause: unknown): boolean {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return kind === "tls" && !/^E(CONN|HOST|NET|ADDR|TIMEDOUT|PIPE|ACCES)/.test(code);
}

/** A TCP or TLS connection with STUN and ChannelData framing (RFC 8489 section 6.2.2, RFC 8656 section 12.5). */
export async function openStream(
  endpoint: Endpoint,
  options: TransportOptions,
  events: TransportEvents,
): Promise<Transport> {
  const { kind, address: remote } = endpoint;
  const socket = dial(endpoint, options);
  await new Promise<void>((resolve, reject) => {
    const cancel = options.timers.schedule(options.connectTimeoutMs, () => {
      socket.destroy();
      const reason = `${formatAddress(remote)}: no connection within ${options.connectTimeoutMs} ms`;
      reject(new TurnError({ kind: "timeout", step: "connect", reason }));
    });
    socket.once(kind === "tls" ? "secureConnect" : "connect", () => {
      cancel();
      resolve();
    });
    socket.once("error", (cause) => {
      cancel();
      socket.destroy();
      const reason = `${formatAddress(remote)}: ${describe(cause)}`;
      const failed = isTlsFault(kind, cause)
        ? new TurnError({ kind: "tls", step: "connect", reason, cause })
        : refused(remote, cause);
      reject(failed);
    });
  });
  return transportOf(socket, endpoint, options, events);
}

function localOf(socket: Socket): TransportAddress {
  const ip = socket.localAddress ?? "";
  return { ip: canonicalIp(ip) ?? ip, port: socket.localPort ?? 0 };
}

function transportOf(
  socket: Socket,
  { kind, address: remote }: Endpoint,
  { timers }: TransportOptions,
  events: TransportEvents,
): Transport {
  const framer = new StreamFramer();
  let closing = false;
  let failure: TurnError | undefined;
  const fail = (error: TurnError): void => {
    failure ??= error;
    socket.destroy();
  };

  socket.on("data", (chunk) => {
    const { frames, error } = framer.push(chunk);
    for (const frame of frames) {
      if (closing) return;
      events.onFrame(frame);
    }
    if (error === undefined) return;
    fail(new TurnError({ kind: "protocol", step: "connect", reason: `the server's stream is broken: ${error}` }));
  });
  socket.on("error", (cause) =>
    fail(new TurnError({ kind: "closed", step: "connect", reason: describe(cause), cause })),
  );
  socket.once("close", () => {
    if (closing) return;
    closing = true;
    events.onClosed(
      failure ?? new TurnError({ kind: "closed", step: "connect", reason: "the server closed the connection" }),
    );
  });

  return {
    kind,
    remote,
    local: localOf(socket),
    send(bytes) {
      return socket.writable ? socket.write(bytes) : true;
    },
    drained() {
      if (!socket.writableNeedDrain || socket.destroyed) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          socket.off("drain", done);
          socket.off("close", done);
          resolve();
        };
        socket.on("drain", done);
        socket.on("close", done);
      });
    },
    close() {
      closing = true;
      if (socket.closed) return Promise.resolve();
      return new Promise((resolve) => {
        const cancel = timers.schedule(CLOSE_TIMEOUT_MS, () => socket.destroy());
        socket.once("close", () => {
          cancel();
          resolve();
        });
        socket.destroySoon();
      });
    },
  };
}
