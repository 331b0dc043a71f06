import {
  type BearerRule,
  bearerRefusal,
  closeGrpc,
  endCall,
  enterCall,
  fromWireFilter,
  KEEPALIVE,
  listenGrpc,
  peerIp,
  type RelayServiceServer,
  RelayServiceService,
  type ServerTlsSource,
  toWatchAllocationsResponse,
  toWireAllocation,
  toWireRelay,
  type WatchAllocationsRequest,
  type WatchAllocationsResponse,
} from "@culvert/contracts";
import type { Logger } from "@culvert/telemetry";
import { type Tracing, within } from "@culvert/tracing";
import {
  type handleUnaryCall,
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { AdminError, type AdminErrorCode, type RelayAdmin } from "../admin.ts";

/** Messages that may wait for a slow watcher. Beyond, it is told to start again with a snapshot. */
const MAX_QUEUED = 4096;
const MAX_WATCHERS = 64;
const DEFAULT_PAGE = 100;
const MAX_PAGE = 1000;

export interface AdminServerOptions extends BearerRule {
  readonly host: string;
  readonly port: number;
  readonly tls: ServerTlsSource | undefined;
  readonly admin: RelayAdmin;
  readonly tracing: Tracing;
  readonly logger: Logger;
}

export interface AdminServer {
  /** Rejects with a `ListenError` of one line. */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  close(): Promise<void>;
}

type Refusal = Pick<StatusObject, "code" | "details">;
type WatchCall = ServerWritableStream<WatchAllocationsRequest, WatchAllocationsResponse>;

const CODES: Readonly<Record<AdminErrorCode, status>> = {
  "not-found": status.NOT_FOUND,
  unavailable: status.UNAVAILABLE,
  "bad-page": status.INVALID_ARGUMENT,
  stopping: status.FAILED_PRECONDITION,
};

/** Serves `culvert.relay.v1.RelayService`. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { admin, tracing, logger } = options;
  const server = new Server(KEEPALIVE);
  const watchers = new Set<WatchCall>();

  const refusalOf = (error: unknown): Refusal => {
    if (error instanceof AdminError) return { code: CODES[error.code], details: error.message };
    logger.error({ err: error }, "an administrator's request failed");
    return { code: status.INTERNAL, details: "the request failed; the relay's log says why" };
  };

  /** A handler whose caller is known, and that answers what it resolves to or why it rejects. */
  const unary =
    <Request, Response>(
      method: string,
      answer: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>,
    ): handleUnaryCall<Request, Response> =>
    (call, callback) => {
      const refused = bearerRefusal(call, options);
      if (refused !== undefined) {
        callback(refused);
        return;
      }
      const entry = enterCall(tracing, `culvert.relay.v1.RelayService/${method}`, call.metadata);
      within(entry?.context, () => answer(call.request, call)).then(
        (response) => {
          endCall(entry);
          callback(null, response);
        },
        (error: unknown) => {
          const refusal = refusalOf(error);
          endCall(entry, refusal.code, refusal.details);
          callback(refusal);
        },
      );
    };

  const noted = async <Result>(
    call: { getPeer(): string },
    fields: object,
    what: string,
    act: () => Promise<Result>,
  ): Promise<Result> => {
    const result = await act();
    logger.info({ ...fields, from: peerIp(call.getPeer()) }, what);
    return result;
  };

  const watchAllocations = (call: WatchCall): void => {
    const full = { code: status.RESOURCE_EXHAUSTED, details: `${MAX_WATCHERS} watchers are the most` };
    const refused = bearerRefusal(call, options) ?? (watchers.size < MAX_WATCHERS ? undefined : full);
    if (refused !== undefined) {
      call.emit("error", refused);
      return;
    }
    watchers.add(call);
    const leave = (): void => {
      watch.close();
      watchers.delete(call);
    };
    const watch = admin.watch(fromWireFilter(call.request.filter), {
      onChange: (change) => {
        if (call.writableLength < MAX_QUEUED) {
          call.write(toWatchAllocationsResponse(change));
          return;
        }
        leave();
        call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "the watcher is too slow" });
      },
      onEnd: (error) => {
        leave();
        call.emit("error", refusalOf(error));
      },
    });
    for (const event of ["cancelled", "close", "finish", "error"]) call.on(event, leave);
  };

  const service: RelayServiceServer = {
    listRelays: unary("ListRelays", async () => ({ relays: (await admin.relays()).map(toWireRelay) })),
    listAllocations: unary("ListAllocations", async ({ filter, pageSize, pageToken }) => {
      if (pageSize > MAX_PAGE)
        throw new AdminError("bad-page", `the page size is ${pageSize}; ${MAX_PAGE} is the most`);
      const { allocations, next } = await admin.list(fromWireFilter(filter), {
        limit: pageSize || DEFAULT_PAGE,
        ...(pageToken === "" ? {} : { after: pageToken }),
      });
      return { allocations: allocations.map(toWireAllocation), nextPageToken: next ?? "" };
    }),
    getAllocation: unary("GetAllocation", async ({ id }) => ({ allocation: toWireAllocation(await admin.get(id)) })),
    watchAllocations,
    terminateAllocation: unary("TerminateAllocation", ({ id }, call) =>
      noted(call, { allocation: id }, "an administrator ended an allocation", async () => {
        await admin.terminate(id);
        return {};
      }),
    ),
    drain: unary("Drain", ({ relay }, call) =>
      noted(call, { relay }, "an administrator drains a relay", async () => ({
        relay: toWireRelay(await admin.drain(relay)),
      })),
    ),
    undrain: unary("Undrain", ({ relay }, call) =>
      noted(call, { relay }, "an administrator has a relay take allocations again", async () => ({
        relay: toWireRelay(await admin.undrain(relay)),
      })),
    ),
  };
  server.addService(RelayServiceService, service);

  return {
    listen: async () => {
      try {
        return { host: options.host, port: await listenGrpc(server, options) };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw Object.assign(new Error(`relay.grpc.port: ${options.port}: ${reason}`), { name: "ListenError" });
      }
    },
    close: async () => {
      for (const call of [...watchers]) {
        call.emit("error", { code: status.UNAVAILABLE, details: "the relay has stopped" });
      }
      await closeGrpc(server, 500);
    },
  };
}
