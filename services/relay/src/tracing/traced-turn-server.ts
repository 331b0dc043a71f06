import { type Entry, endSpan, enterSpan, type Tracing } from "@culvert/tracing";
import {
  type Answer,
  type BindResult,
  type ClientTuple,
  type Millis,
  type Output,
  type RelayId,
  TurnServer,
  type TurnServerConfig,
  type TurnServerPorts,
} from "@culvert/turn";
import { type Context, SpanKind } from "@opentelemetry/api";
import { parentOf, type TracedClaims } from "./credential-trace.ts";

/** A request that is being traced. */
interface Traced {
  readonly entry: Entry;
  /** Questions and sockets that it waits for. */
  open: number;
}

interface Tagged {
  readonly output: Output;
  /** Of the request that it follows from. */
  readonly context: Context | undefined;
}

/** Message types of the requests that are traced (RFC 8656 section 17): what comes with packets is not among them. */
const METHODS: ReadonlyMap<number, string> = new Map([
  [0x0003, "Allocate"],
  [0x0004, "Refresh"],
  [0x0008, "CreatePermission"],
  [0x0009, "ChannelBind"],
]);

/** Traced requests that wait at once; beyond, requests are not traced. */
const MAX_WAITING = 10_000;

/**
 * A TURN server whose authenticated control requests are spans, from their arrival to their answer. The server itself knows
 * nothing of it: what comes out between a request and the next input follows from that request, and so does what comes
 * out when the answers come that it waits for.
 */
export class TracedTurnServer extends TurnServer {
  readonly #tracing: Tracing;
  readonly #queue: Tagged[] = [];
  #read = 0;
  readonly #asks = new Map<number, Traced>();
  readonly #binds = new Map<RelayId, Traced>();
  #claims: TracedClaims | undefined;
  #context: Context | undefined;

  constructor(config: TurnServerConfig, ports: TurnServerPorts, tracing: Tracing) {
    super(config, ports);
    this.#tracing = tracing;
  }

  /** Must be called with each credential that the authenticator resolves. */
  identified(claims: TracedClaims): void {
    this.#claims = claims;
  }

  /** Of the request that the last output follows from; undefined: of none that is traced. */
  get context(): Context | undefined {
    return this.#context;
  }

  override handleClientInput(client: ClientTuple, bytes: Uint8Array, now: Millis): void {
    const method = this.#tracing.tracer === undefined ? undefined : methodOf(bytes);
    if (method === undefined || this.#asks.size + this.#binds.size >= MAX_WAITING) {
      super.handleClientInput(client, bytes, now);
      return;
    }
    const startTime = Date.now();
    this.#settle(now);
    this.#claims = undefined;
    super.handleClientInput(client, bytes, now);
    // Nobody that is known asks: it is not traced.
    if (this.#claims === undefined) return;
    const outputs = this.#drain();
    this.#follow(outputs, this.#enter(method, this.#claims, startTime, outputs));
  }

  override handleAnswer(id: number, answer: Answer, now: Millis): void {
    const traced = this.#asks.get(id);
    this.#asks.delete(id);
    this.#goOn(traced, now, () => super.handleAnswer(id, answer, now));
  }

  override handleBound(relay: RelayId, result: BindResult, now: Millis): void {
    const traced = this.#binds.get(relay);
    this.#binds.delete(relay);
    this.#goOn(traced, now, () => super.handleBound(relay, result, now));
  }

  override pollOutput(): Output | undefined {
    const tagged = this.#queue[this.#read];
    if (tagged === undefined) {
      this.#context = undefined;
      const output = super.pollOutput();
      this.#giveUp(output);
      return output;
    }
    this.#read += 1;
    if (this.#read === this.#queue.length) {
      this.#queue.length = 0;
      this.#read = 0;
    }
    this.#context = tagged.context;
    this.#giveUp(tagged.output);
    return tagged.output;
  }

  /** A socket that is closed before it was opened: nobody waits for it any more. */
  #giveUp(output: Output | undefined): void {
    const traced = output?.type === "unbind" ? this.#binds.get(output.relay) : undefined;
    if (traced === undefined || output?.type !== "unbind") return;
    this.#binds.delete(output.relay);
    traced.open -= 1;
    if (traced.open === 0) endSpan(traced.entry.span);
  }

  #goOn(traced: Traced | undefined, now: Millis, input: () => void): void {
    if (traced === undefined) {
      input();
      return;
    }
    this.#settle(now);
    traced.open -= 1;
    input();
    this.#follow(this.#drain(), traced);
  }

  /** What is due, and what came out before, belongs to others. */
  #settle(now: Millis): void {
    super.handleTimeout(now);
    for (const output of this.#drain()) this.#queue.push({ output, context: undefined });
  }

  #drain(): readonly Output[] {
    const outputs: Output[] = [];
    for (let output = super.pollOutput(); output !== undefined; output = super.pollOutput()) outputs.push(output);
    return outputs;
  }

  #enter(method: string, claims: TracedClaims, startTime: number, outputs: readonly Output[]): Traced | undefined {
    if (outputs.length === 0 || outputs.some(isNotTraced)) return undefined;
    const { parent, links } = parentOf(claims, startTime / 1000);
    const attributes = { "culvert.tenant": claims.tenant };
    const entry = enterSpan(
      this.#tracing,
      { name: method, kind: SpanKind.SERVER, startTime, attributes, links },
      parent,
    );
    return entry?.span.isRecording() === true ? { entry, open: 0 } : undefined;
  }

  #follow(outputs: readonly Output[], traced: Traced | undefined): void {
    for (const output of outputs) {
      this.#queue.push({ output, context: traced?.entry.context });
      if (traced !== undefined) this.#note(output, traced);
    }
    if (traced?.open === 0) endSpan(traced.entry.span);
  }

  #note(output: Output, traced: Traced): void {
    const { span } = traced.entry;
    if (output.type === "ask") {
      this.#asks.set(output.id, traced);
      traced.open += 1;
    } else if (output.type === "bind") {
      this.#binds.set(output.relay, traced);
      traced.open += 1;
    } else if (output.type === "event" && output.name === "request") {
      span.setAttributes({ "network.transport": output.transport, "culvert.turn.code": output.code ?? "success" });
    } else if (output.type === "event" && output.name === "allocation-created") {
      span.setAttributes({ "culvert.allocation": output.record, ...slotOf(output) });
    } else if (output.type === "event" && output.name === "dropped") {
      span.setAttribute("culvert.turn.dropped", output.reason);
    }
  }
}

/** A client that is challenged begins anew, and a repetition is part of the request that is repeated. */
function isNotTraced(output: Output): boolean {
  if (output.type !== "event") return false;
  return output.name === "auth-failed" || (output.name === "dropped" && output.reason === "retransmission");
}

function slotOf({ slot }: { readonly slot?: string | undefined }): { "culvert.slot"?: string } {
  return slot === undefined ? {} : { "culvert.slot": slot };
}

function methodOf(bytes: Uint8Array): string | undefined {
  const [high = 0xff, low = 0] = bytes;
  return high === 0 ? METHODS.get(low) : undefined;
}
