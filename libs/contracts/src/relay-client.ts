import type { CallOptions, ServiceError } from "@grpc/grpc-js";
import {
  type DrainResponse,
  type GetAllocationResponse,
  type ListAllocationsResponse,
  type ListRelaysResponse,
  RelayServiceClient,
  type TerminateAllocationResponse,
  type UndrainResponse,
  type WatchAllocationsResponse,
} from "./generated/culvert/relay/v1/relay.ts";
import { fromWatchAllocationsResponse, fromWireAllocation, fromWireRelay, toWireFilter } from "./relay-mappers.ts";
import type {
  AllocationChange,
  AllocationFilter,
  AllocationPage,
  AllocationStatus,
  PageRequest,
  RelayStatus,
} from "./relay-status.ts";
import { bearerMetadata, type ClientCredentials, channelCredentials, KEEPALIVE } from "./transport.ts";

export interface RelayClientOptions {
  /** `host:port` of a relay's gRPC listener; any relay of a fleet. */
  readonly target: string;
  readonly credentials?: ClientCredentials;
  /** Milliseconds for each call but a watch. Default 10000. */
  readonly timeoutMs?: number;
}

/** `RelayService` of a relay, or of its fleet. Methods reject with gRPC's `ServiceError`, or with a {@link ContractError}. */
export interface RelayClient {
  relays(): Promise<readonly RelayStatus[]>;
  list(filter: AllocationFilter, page: PageRequest): Promise<AllocationPage>;
  get(id: string): Promise<AllocationStatus>;
  /** Ends when the service does, with its error, or when the signal says so. */
  watch(filter: AllocationFilter, signal?: AbortSignal): AsyncIterable<AllocationChange>;
  terminate(id: string): Promise<void>;
  drain(identity: string): Promise<RelayStatus>;
  undrain(identity: string): Promise<RelayStatus>;
  close(): void;
}

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

export function createRelayClient({ target, credentials, timeoutMs = 10_000 }: RelayClientOptions): RelayClient {
  const client = new RelayServiceClient(target, channelCredentials(credentials?.tls), {
    ...KEEPALIVE,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  });
  const metadata = bearerMetadata(credentials?.token);
  const options = (): CallOptions => ({ deadline: Date.now() + timeoutMs });

  const call = <Response>(
    start: (done: (error: ServiceError | null, response: Response) => void) => unknown,
  ): Promise<Response> =>
    new Promise((resolve, reject) => {
      start((error, response) => (error === null ? resolve(response) : reject(error)));
    });

  return {
    relays: async () => {
      const { relays } = await call<ListRelaysResponse>((done) => client.listRelays({}, metadata, options(), done));
      return relays.map(fromWireRelay);
    },
    list: async (filter, { limit, after }) => {
      const request = { filter: toWireFilter(filter), pageSize: limit, pageToken: after ?? "" };
      const page = await call<ListAllocationsResponse>((done) =>
        client.listAllocations(request, metadata, options(), done),
      );
      return {
        allocations: page.allocations.map(fromWireAllocation),
        ...(page.nextPageToken === "" ? {} : { next: page.nextPageToken }),
      };
    },
    get: async (id) => {
      const response = await call<GetAllocationResponse>((done) =>
        client.getAllocation({ id }, metadata, options(), done),
      );
      return fromWireAllocation(response.allocation);
    },
    async *watch(filter, signal) {
      const stream = client.watchAllocations({ filter: toWireFilter(filter) }, metadata);
      const cancel = (): void => stream.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        const messages: AsyncIterable<WatchAllocationsResponse> = stream;
        for await (const message of messages) {
          const change = fromWatchAllocationsResponse(message);
          if (change !== undefined) yield change;
        }
      } catch (error) {
        if (signal?.aborted !== true) throw error;
      } finally {
        signal?.removeEventListener("abort", cancel);
        stream.cancel();
      }
    },
    terminate: async (id) => {
      await call<TerminateAllocationResponse>((done) => client.terminateAllocation({ id }, metadata, options(), done));
    },
    drain: async (relay) => {
      return fromWireRelay(
        (await call<DrainResponse>((done) => client.drain({ relay }, metadata, options(), done))).relay,
      );
    },
    undrain: async (relay) => {
      return fromWireRelay(
        (await call<UndrainResponse>((done) => client.undrain({ relay }, metadata, options(), done))).relay,
      );
    },
    close: () => client.close(),
  };
}
