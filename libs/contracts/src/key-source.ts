import { firstSnapshot, type KeyChange, type KeySink, type KeySource, type KeyWatch } from "@culvert/credentials";
import {
  type Entry,
  endSpan,
  enterSpan,
  expandContext,
  NOT_TRACED,
  type SpanSpec,
  type Tracing,
  within,
} from "@culvert/tracing";
import { type ClientReadableStream, status } from "@grpc/grpc-js";
import { SpanKind } from "@opentelemetry/api";
import { KeyServiceClient, type WatchKeysResponse } from "./generated/culvert/credential/v1/keys.ts";
import { fromWatchKeysResponse } from "./mappers.ts";
import { endCall, rpcSpan, tracedMetadata } from "./tracing.ts";
import { bearerMetadata, type ClientCredentials, channelCredentials, KEEPALIVE } from "./transport.ts";

/** The part of a pino logger that is used here. */
export interface WatchLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface KeySourceOptions {
  /** `host:port` of the credential service's gRPC listener. */
  readonly target: string;
  /** The name under which the watcher appears in the service's logs, for example "relay-0". */
  readonly watcher: string;
  /** A function is asked again for each connection. */
  readonly credentials?: ClientCredentials | (() => ClientCredentials);
  readonly logger: WatchLogger;
  /** Time before the first and the longest time before any other new attempt, in milliseconds. 200 and 5000 unless told. */
  readonly backoff?: { readonly minMs: number; readonly maxMs: number };
  /** How long a connection may take to bring its snapshot, in milliseconds. 10000 unless told. */
  readonly snapshotTimeoutMs?: number;
  /** Uniform in [0, 1), spreads the attempts of a fleet. `Math.random` unless told. */
  readonly random?: () => number;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing;
}

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const METHOD = "culvert.credential.v1.KeyService/WatchKeys";
/** Until the snapshot is there; the stream lives on. */
const WATCH: SpanSpec = rpcSpan(METHOD, SpanKind.CLIENT);
/** Of a change that is part of a trace. */
const RECEIVE: SpanSpec = { ...rpcSpan(METHOD, SpanKind.CONSUMER), name: `receive ${METHOD}` };

/**
 * The signing keys of a credential service (`KeyService.WatchKeys`). A watch reconnects without end, with backoff and
 * jitter; what was told last stays in force meanwhile, because nothing is called on a loss. It has a snapshot for each
 * connection, and is connected while a snapshot came over the connection that is open now.
 */
export function grpcKeySource(options: KeySourceOptions): KeySource {
  return { watch: (sink) => watchKeys(options, sink) };
}

function proofOf(credentials: KeySourceOptions["credentials"] = {}): ClientCredentials {
  return typeof credentials === "function" ? credentials() : credentials;
}

function watchKeys(options: KeySourceOptions, sink: KeySink): KeyWatch {
  const { target, watcher, logger } = options;
  const { minMs, maxMs } = options.backoff ?? { minMs: 200, maxMs: 5_000 };
  const random = options.random ?? Math.random;
  const tracing = options.tracing ?? NOT_TRACED;
  const first = firstSnapshot();
  let closed = false;
  let current = false;
  let failures = 0;
  let retry: NodeJS.Timeout | undefined;
  let drop: () => void = () => {};

  const tell = (change: KeyChange, at: bigint): void => {
    const entry = change.trace === undefined ? undefined : enterSpan(tracing, RECEIVE, expandContext(change.trace));
    if (entry === undefined) {
      sink.onChange(change, at);
      return;
    }
    try {
      within(entry.context, () => sink.onChange(change, at));
    } finally {
      endSpan(entry.span);
    }
  };

  const attempt = (): void => {
    const { token, tls } = proofOf(options.credentials);
    const client = new KeyServiceClient(target, channelCredentials(tls), {
      ...KEEPALIVE,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.use_local_subchannel_pool": 1,
    });
    let watching: Entry | undefined = enterSpan(tracing, WATCH);
    const stream: ClientReadableStream<WatchKeysResponse> = client.watchKeys(
      { watcher },
      tracedMetadata(bearerMetadata(token), watching?.context),
    );
    const watched = (code: status, details = ""): void => {
      endCall(watching, code, details);
      watching = undefined;
    };
    let revision: bigint | undefined;
    let over = false;
    const overdue = setTimeout(() => lost("no snapshot in time"), options.snapshotTimeoutMs ?? 10_000);

    drop = () => {
      over = true;
      current = false;
      watched(status.CANCELLED, "the watch was closed");
      clearTimeout(overdue);
      stream.cancel();
      client.close();
    };
    const lost = (reason: string): void => {
      if (over) return;
      watched(status.UNAVAILABLE, reason);
      drop();
      const delay = Math.min(maxMs, minMs * 2 ** Math.min(failures, 16)) * (0.5 + random() / 2);
      failures += 1;
      logger.warn({ target, reason, retryInMs: Math.round(delay) }, "key watch lost");
      retry = setTimeout(attempt, delay);
    };
    const take = (message: WatchKeysResponse): void => {
      const update = fromWatchKeysResponse(message);
      if (update !== undefined && "snapshot" in update) {
        clearTimeout(overdue);
        watched(status.OK);
        current = true;
        failures = 0;
        revision = update.revision;
        sink.onSnapshot(update.snapshot, update.revision);
        logger.info(
          { target, revision: String(revision), keys: update.snapshot.keys.length },
          "key watch has its snapshot",
        );
        first.arrived();
        return;
      }
      if (revision === undefined || message.revision !== revision + 1n) {
        lost("revisions are not in sequence");
        return;
      }
      revision = message.revision;
      if (update !== undefined) tell(update.change, update.revision);
    };

    stream.on("data", (message: WatchKeysResponse) => {
      if (over) return;
      try {
        take(message);
      } catch (error) {
        lost(error instanceof Error ? error.message : String(error));
      }
    });
    stream.on("error", (error) => lost(error.message));
    stream.on("end", () => lost("the service ended the stream"));
  };

  attempt();
  return {
    ready: first.ready,
    connected: () => current,
    close() {
      if (closed) return;
      closed = true;
      clearTimeout(retry);
      drop();
      first.closed();
    },
  };
}
