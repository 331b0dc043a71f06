import type { EventBus, Subscription } from "@culvert/events";
import { BusError, subjectToken } from "@culvert/events";

const ROOT = "culvert.signaling.v1";
const ALL = `${ROOT}.all`;
const PROBE_MS = 250;

const subjectOf = (replica: string): string => `${ROOT}.replica.${subjectToken(replica)}`;

/** What the replicas say to each other, over two subjects each: one of all, one of its own. */
export class ReplicaBus {
  readonly #bus: EventBus;
  readonly #replica: string;
  readonly #subscriptions: Subscription[] = [];

  constructor(bus: EventBus, replica: string) {
    this.#bus = bus;
    this.#replica = replica;
  }

  /** Whether anybody else is there. True when that cannot be found out. */
  async hasOthers(): Promise<boolean> {
    try {
      await this.#bus.request(ALL, new Uint8Array(0), { timeoutMs: PROBE_MS });
      return true;
    } catch (error) {
      return !(error instanceof BusError && error.code === "no-responders");
    }
  }

  async subscribe(receive: (text: string) => void): Promise<void> {
    for (const subject of [ALL, subjectOf(this.#replica)]) {
      const subscription = await this.#bus.subscribe(subject, (message) => {
        if (message.respond !== undefined) message.respond(new Uint8Array(0));
        else receive(Buffer.from(message.data).toString("utf8"));
      });
      this.#subscriptions.push(subscription);
    }
  }

  /** @param to a replica, or `*` for all */
  publish(to: string, text: string): void {
    this.#bus.publish(to === "*" ? ALL : subjectOf(to), Buffer.from(text, "utf8"));
  }

  unsubscribe(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
  }
}
