import { Buffer } from "node:buffer";
import { BusError, type EventBus, type Subscription, subjectToken } from "@culvert/events";
import { AdminError, type AdminErrorCode } from "../admin.ts";

const TIMEOUT_MS = 3_000;

export const ORDERS = ["terminate", "drain", "undrain"] as const;
export type OrderName = (typeof ORDERS)[number];

type Reply = { readonly ok: true } | { readonly ok: false; readonly code: AdminErrorCode; readonly message: string };

/** Orders of operators to the relay that they concern, whichever relay the operator asked. */
export class Orders {
  readonly #bus: EventBus | undefined;

  constructor(bus: EventBus | undefined) {
    this.#bus = bus;
  }

  /** Resolves once the relay has carried the order out. Rejects with its AdminError, or with `unavailable`. */
  async send(identity: string, order: OrderName, argument: string): Promise<void> {
    if (this.#bus === undefined) {
      throw new AdminError("unavailable", `${identity} has to be asked itself: relay.fleet.nats is not set`);
    }
    let reply: Reply;
    try {
      const data = Buffer.from(argument);
      const answer = await this.#bus.request(subjectOf(identity, order), data, { timeoutMs: TIMEOUT_MS });
      reply = JSON.parse(Buffer.from(answer.data).toString());
    } catch (error) {
      const reason = error instanceof BusError ? error.code : "an answer that makes no sense";
      throw new AdminError("unavailable", `${identity} does not answer (${reason})`);
    }
    if (!reply.ok) throw new AdminError(reply.code, reply.message);
  }

  /** Carries out what others order. */
  async serve(
    identity: string,
    carryOut: (order: OrderName, argument: string) => Promise<void>,
  ): Promise<readonly Subscription[]> {
    const bus = this.#bus;
    if (bus === undefined) return [];
    return Promise.all(
      ORDERS.map((order) =>
        bus.subscribe(subjectOf(identity, order), async ({ data, respond }) => {
          const reply = await replyOf(carryOut(order, Buffer.from(data).toString()));
          respond?.(Buffer.from(JSON.stringify(reply)));
        }),
      ),
    );
  }
}

function subjectOf(identity: string, order: OrderName): string {
  return `culvert.fleet.relay.${subjectToken(identity)}.${order}`;
}

async function replyOf(done: Promise<void>): Promise<Reply> {
  try {
    await done;
    return { ok: true };
  } catch (error) {
    if (error instanceof AdminError) return { ok: false, code: error.code, message: error.message };
    return { ok: false, code: "unavailable", message: "the order failed; the relay's log says why" };
  }
}
