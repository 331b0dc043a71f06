import type { GrpcTlsKeeper } from "@culvert/config";
import {
  closeGrpc,
  type DescribeResponse,
  endCall,
  enterCall,
  hasBearer,
  KEEPALIVE,
  listenGrpc,
  type PartnerServiceServer,
  PartnerServiceService,
  type RespondRequest,
  type RespondResponse,
} from "@culvert/contracts";
import { decodeMessage, MessageClass, Method, parseIp, type TransportAddress } from "@culvert/stun";
import type { Tracing } from "@culvert/tracing";
import { type Metadata, Server, type sendUnaryData, status } from "@grpc/grpc-js";
import type { PartnerConfig } from "../config.ts";

/** Sends from one of the two ports of this server's own address. False where it has no such listener. */
export type SendFrom = (datagram: Uint8Array, destination: TransportAddress, alternatePort: boolean) => boolean;

export interface PartnerServerOptions {
  readonly listen: NonNullable<PartnerConfig["listen"]>;
  /** Of `listen.tls`. */
  readonly tls: GrpcTlsKeeper | undefined;
  /** That the partner must present now. */
  readonly token: () => string;
  /** This server's two addresses, as clients know them. */
  readonly describe: () => { readonly primary: TransportAddress; readonly alternate: TransportAddress };
  readonly send: SendFrom;
  readonly tracing: Tracing;
  readonly onRespond: (outcome: "sent" | "refused" | "unauthenticated") => void;
}

export interface PartnerServer {
  /** Rejects when the address cannot be listened on. */
  listen(): Promise<TransportAddress>;
  close(): Promise<void>;
}

/** The largest datagram that is sent for a partner: a STUN response with padding stays within one Ethernet frame. */
const MAX_DATAGRAM = 1500;

/** Serves `PartnerService`: answers "from the other address" for a server that has only one. */
export function createPartnerServer(options: PartnerServerOptions): PartnerServer {
  const { describe, send, tracing, onRespond } = options;
  const server = new Server({ ...KEEPALIVE, "grpc.max_receive_message_length": 64 * 1024 });

  const authenticated = (metadata: Metadata, callback: sendUnaryData<never>): boolean => {
    if (hasBearer(metadata, options.token())) return true;
    onRespond("unauthenticated");
    callback({ code: status.UNAUTHENTICATED, details: "the token of the partners is needed" });
    return false;
  };
  const service: PartnerServiceServer = {
    describe: ({ metadata }, callback: sendUnaryData<DescribeResponse>) => {
      if (authenticated(metadata, callback)) callback(null, describe());
    },
    respond: ({ metadata, request }, callback: sendUnaryData<RespondResponse>) => {
      if (!authenticated(metadata, callback)) return;
      const problem = problemOf(request);
      const { destination, datagram, fromAlternatePort } = request;
      const entry = enterCall(tracing, "culvert.stun.v1.PartnerService/Respond", metadata);
      const sent = problem === undefined && destination !== undefined && send(datagram, destination, fromAlternatePort);
      onRespond(sent ? "sent" : "refused");
      const details = problem ?? "there is no such address here";
      endCall(entry, sent ? status.OK : status.INVALID_ARGUMENT, details);
      if (sent) callback(null, {});
      else callback({ code: status.INVALID_ARGUMENT, details });
    },
  };
  server.addService(PartnerServiceService, service);

  return {
    listen: async () => {
      const { ip, port } = options.listen;
      try {
        return { ip, port: await listenGrpc(server, { host: ip, port, tls: options.tls }) };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw Object.assign(new Error(`stun.partner.listen.port: ${port}: ${reason}`), { name: "ListenError" });
      }
    },
    close: () => closeGrpc(server, 500),
  };
}

/** A partner may have this server send a Binding response and nothing else. */
function problemOf({ datagram, destination }: RespondRequest): string | undefined {
  if (destination === undefined || parseIp(destination.ip) === undefined) return "the destination is no IP address";
  if (destination.port < 1 || destination.port > 65_535) return "the port of the destination is not 1 to 65535";
  if (datagram.length > MAX_DATAGRAM) return `the datagram is longer than ${MAX_DATAGRAM} bytes`;
  const decoded = decodeMessage(datagram);
  if (!decoded.ok || decoded.message.method !== Method.Binding || decoded.message.class !== MessageClass.Success) {
    return "the datagram is no Binding response";
  }
  return undefined;
}
