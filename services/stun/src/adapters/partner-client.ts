import { type GrpcCredentials, GrpcProof } from "@culvert/config";
import {
  bearerMetadata,
  channelCredentials,
  type DescribeResponse,
  endCall,
  KEEPALIVE,
  PartnerServiceClient,
  rpcSpan,
  tracedMetadata,
} from "@culvert/contracts";
import { canonicalIp } from "@culvert/stun";
import type { Logger } from "@culvert/telemetry";
import { enterSpan, type SpanSpec, type Tracing } from "@culvert/tracing";
import type { AskPartner, PartnerAddress } from "@culvert/turn";
import { SpanKind } from "@opentelemetry/api";
import type { PartnerConfig } from "../config.ts";

export interface PartnerClientOptions {
  readonly config: PartnerConfig & { readonly target: string };
  readonly logger: Logger;
  readonly tracing: Tracing;
  /** Called when the partner comes, changes its addresses, or goes (undefined). */
  readonly onPartner: (partner: PartnerAddress | undefined) => void;
  readonly onAsked: (outcome: "ok" | "failed") => void;
}

const DEADLINE_MS = 1_000;
const RESPOND: SpanSpec = rpcSpan("culvert.stun.v1.PartnerService/Respond", SpanKind.CLIENT);

/** Knows the partner's addresses and has it send. */
export class PartnerClient {
  readonly #options: PartnerClientOptions;
  readonly #proof: GrpcProof;
  #client: PartnerServiceClient;
  #metadata: ReturnType<typeof bearerMetadata>;
  #timer: NodeJS.Timeout | undefined;
  #known = "";
  #closed = false;

  /** Throws a ConfigError for a PEM file that cannot be read. */
  constructor(options: PartnerClientOptions) {
    this.#options = options;
    this.#proof = new GrpcProof("stun.partner", options.config, (problem) =>
      options.logger.error({ problem }, "credentials not read again"),
    );
    ({ client: this.#client, metadata: this.#metadata } = this.#connect());
  }

  /** Proves itself with another token, and with certificates that were replaced, from now on. */
  prove(config: GrpcCredentials): void {
    this.#proof.set(config);
    this.#reconnect();
  }

  /** Whether the partner answered last time. */
  get up(): boolean {
    return this.#known !== "";
  }

  /** Asks for the partner's addresses, now and again and again. */
  start(): void {
    this.#client.describe({}, this.#metadata, { deadline: Date.now() + DEADLINE_MS }, (error, response) => {
      if (this.#closed) return;
      this.#learn(error === null ? addressOf(response) : undefined, error?.message);
      // Perhaps for a certificate that was replaced meanwhile.
      if (error !== null) this.#reconnect();
      this.#timer = setTimeout(() => this.start(), this.#options.config.interval * 1000);
      this.#timer.unref();
    });
  }

  ask({ datagram, destination, fromAlternatePort }: AskPartner): void {
    const request = { datagram: Buffer.from(datagram), destination, fromAlternatePort };
    // A Binding request has no caller to go on with: the trace begins where another process is asked.
    const entry = enterSpan(this.#options.tracing, RESPOND);
    const metadata = tracedMetadata(this.#metadata, entry?.context);
    this.#client.respond(request, metadata, { deadline: Date.now() + DEADLINE_MS }, (error) => {
      endCall(entry, error?.code, error?.details);
      if (!this.#closed) this.#options.onAsked(error === null ? "ok" : "failed");
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#client.close();
  }

  #reconnect(): void {
    const former = this.#client;
    ({ client: this.#client, metadata: this.#metadata } = this.#connect());
    // Its calls end by themselves, within their deadline.
    setTimeout(() => former.close(), 2 * DEADLINE_MS).unref();
  }

  #connect(): { readonly client: PartnerServiceClient; readonly metadata: ReturnType<typeof bearerMetadata> } {
    const { token, tls } = this.#proof.read();
    const client = new PartnerServiceClient(this.#options.config.target, channelCredentials(tls), {
      ...KEEPALIVE,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_reconnect_backoff_ms": 5_000,
    });
    return { client, metadata: bearerMetadata(token) };
  }

  #learn(partner: PartnerAddress | undefined, problem?: string): void {
    const known = partner === undefined ? "" : JSON.stringify(partner);
    if (known === this.#known) return;
    const { logger, onPartner } = this.#options;
    this.#known = known;
    if (partner === undefined) logger.warn({ problem }, "partner is gone: no answers from another address");
    else logger.info({ partner }, "partner answers from its address");
    onPartner(partner);
  }
}

function addressOf({ primary, alternate }: DescribeResponse): PartnerAddress | undefined {
  const ip = primary === undefined ? undefined : canonicalIp(primary.ip);
  if (ip === undefined || primary === undefined || alternate === undefined) return undefined;
  return { ip, primaryPort: primary.port, alternatePort: alternate.port };
}
