import {
  bearerRefusal,
  closeGrpc,
  endCall,
  enterCall,
  KEEPALIVE,
  type KeyServiceServer,
  KeyServiceService,
  listenGrpc,
  rpcSpan,
  type ServerTlsSource,
  toWatchKeysResponse,
  type WatchKeysRequest,
  type WatchKeysResponse,
} from "@culvert/contracts";
import type { KeyChange, KeySource, KeyUpdate } from "@culvert/credentials";
import type { FailureLimiter } from "@culvert/runtime";
import type { Logger } from "@culvert/telemetry";
import { compactTrace, endSpan, enterSpan, expandContext, type SpanSpec, type Tracing } from "@culvert/tracing";
import { Server, type ServerWritableStream, type StatusObject, status } from "@grpc/grpc-js";
import { SpanKind } from "@opentelemetry/api";
import type { CredentialMetrics } from "./metrics.ts";

/** Messages that may wait for a slow watcher. Beyond, it is told to start again with a snapshot. */
const MAX_QUEUED = 1024;

const METHOD = "culvert.credential.v1.KeyService/WatchKeys";
/** Of a change that is part of a trace. */
const SEND: SpanSpec = { ...rpcSpan(METHOD, SpanKind.PRODUCER), name: `send ${METHOD}` };

export interface KeyServerOptions {
  readonly host: string;
  readonly port: number;
  /** That watchers must present now. */
  readonly token: () => string | undefined;
  readonly tls: ServerTlsSource | undefined;
  readonly maxWatchers: number;
  readonly feed: KeySource;
  readonly tracing: Tracing;
  readonly limiter: FailureLimiter;
  readonly metrics: CredentialMetrics;
  readonly clock: () => number;
  readonly logger: Logger;
}

export interface KeyServer {
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  close(): Promise<void>;
}

type Call = ServerWritableStream<WatchKeysRequest, WatchKeysResponse>;

/** Serves `culvert.credential.v1.KeyService`. */
export function createKeyServer(options: KeyServerOptions): KeyServer {
  const { feed, limiter, metrics, clock, logger, tracing } = options;
  const server = new Server(KEEPALIVE);
  const open = new Set<Call>();

  const refusal = (call: Call): Partial<StatusObject> | undefined => {
    const onFailure = (): void => metrics.authenticationFailed("grpc");
    const refused = bearerRefusal(call, { token: options.token(), failures: limiter, clock, onFailure });
    if (refused !== undefined) return refused;
    if (open.size < options.maxWatchers) return undefined;
    return { code: status.RESOURCE_EXHAUSTED, details: `${options.maxWatchers} watchers are the most` };
  };

  /** The change, as part of the span that tells one watcher of it. */
  const tracedChange = (change: KeyChange): KeyChange => {
    const entry = change.trace === undefined ? undefined : enterSpan(tracing, SEND, expandContext(change.trace));
    if (entry === undefined) return change;
    endSpan(entry.span);
    const trace = compactTrace(entry.context) ?? change.trace;
    return trace === undefined ? change : { ...change, trace };
  };

  const watchKeys: KeyServiceServer["watchKeys"] = (call: Call) => {
    const refused = refusal(call);
    // The stream lives on after its snapshot; the span does not.
    let entry = enterCall(tracing, METHOD, call.metadata);
    const answered = (code: status, details?: string): void => {
      endCall(entry, code, details);
      entry = undefined;
    };
    if (refused !== undefined) {
      answered(refused.code ?? status.UNKNOWN, refused.details);
      call.emit("error", refused);
      return;
    }
    // The name comes from outside: cut, and as a value of its own in the log line.
    const watcher = call.request.watcher.slice(0, 64);
    open.add(call);
    metrics.watchers(1);
    logger.info({ watcher }, "key watcher came");
    const send = (update: KeyUpdate): void => {
      if (call.writableLength >= MAX_QUEUED) {
        call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "the watcher is too slow" });
        leave();
        return;
      }
      call.write(toWatchKeysResponse(update));
    };
    const watch = feed.watch({
      onSnapshot: (snapshot, revision) => {
        send({ revision, snapshot });
        answered(status.OK);
      },
      onChange: (change, revision) => send({ revision, change: tracedChange(change) }),
    });
    const leave = (): void => {
      answered(status.CANCELLED, "the watcher went");
      watch.close();
      if (!open.delete(call)) return;
      metrics.watchers(-1);
      logger.info({ watcher }, "key watcher went");
    };
    for (const event of ["cancelled", "close", "finish"]) call.on(event, leave);
    call.on("error", leave);
  };
  server.addService(KeyServiceService, { watchKeys });

  return {
    listen: async () => {
      try {
        return { host: options.host, port: await listenGrpc(server, options) };
      } catch (error) {
        throw new ListenError(
          `credential.grpc.port: ${options.port}: ${error instanceof Error ? error.message : error}`,
        );
      }
    },
    close: async () => {
      for (const call of open) call.end();
      await closeGrpc(server, 1000);
    },
  };
}

/** An address that cannot be listened on. */
class ListenError extends Error {
  override readonly name = "ListenError";
}
