import { type Metadata, type Server, type StatusObject, status } from "@grpc/grpc-js";
import { hasBearer, type ServerTls, type ServerTlsSource, serverCredentials } from "./transport.ts";

/** Listens. Rejects with gRPC's reason, one line, when the address cannot be listened on. Resolves with the port. */
export function listenGrpc(
  server: Server,
  {
    host,
    port,
    tls,
  }: { readonly host: string; readonly port: number; readonly tls?: ServerTls | ServerTlsSource | undefined },
): Promise<number> {
  const shown = host.includes(":") ? `[${host}]` : host;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${shown}:${port}`, serverCredentials(tls), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Error(`cannot listen on ${shown} (${error.message})`));
    });
  });
}

/** Lets calls end for `graceMs`, then ends them. */
export function closeGrpc(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(late);
      resolve();
    });
  });
}

/** Slows down who guesses. */
export interface Failures {
  /** Seconds that the source has to wait; 0 when it need not. */
  waitSeconds(ip: string, nowMs: number): number;
  fail(ip: string, nowMs: number): void;
}

export interface BearerRule {
  /** Undefined: everybody may. */
  readonly token: string | undefined;
  readonly failures: Failures;
  readonly clock: () => number;
  readonly onFailure: () => void;
}

/** Why a call is refused; undefined when it carries the shared token. */
export function bearerRefusal(
  call: { readonly metadata: Metadata; getPeer(): string },
  { token, failures, clock, onFailure }: BearerRule,
): Pick<StatusObject, "code" | "details"> | undefined {
  if (token === undefined) return undefined;
  const source = peerIp(call.getPeer());
  const wait = failures.waitSeconds(source, clock());
  if (wait > 0) return { code: status.RESOURCE_EXHAUSTED, details: `too many failures; try again in ${wait} s` };
  if (hasBearer(call.metadata, token)) return undefined;
  failures.fail(source, clock());
  onFailure();
  return { code: status.UNAUTHENTICATED, details: "the shared token is missing or wrong" };
}

/** `1.2.3.4:5`, `[::1]:5` or `ipv4:1.2.3.4:5` without the port. */
export function peerIp(peer: string): string {
  return /\[?([0-9a-fA-F:.]+?)\]?:\d+$/.exec(peer.replace(/^ipv[46]:/, ""))?.[1] ?? peer;
}
