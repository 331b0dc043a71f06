import { setTimeout as delay } from "node:timers/promises";
import type { NatsLink } from "./link.ts";

/** What there is to measure of a connection to NATS. */
export interface NatsObserver {
  /** A ping was answered after so many seconds. */
  exchanged(seconds: number): void;
  /** `timeout`: a ping without an answer. `error`: something that the server refused, or a lost connection. */
  failed(how: "timeout" | "error"): void;
  connected(): void;
  lost(): void;
}

/** Between two pings, and how long one may take. Milliseconds. */
const PING_MS = 5000;

/** Tells the observer of the link from now on, until it is closed. */
export function observeLink(link: NatsLink, observer: NatsObserver): void {
  let timer: NodeJS.Timeout | undefined;
  const ping = async (): Promise<void> => {
    const began = performance.now();
    const answered = link.connection?.flush().then(() => true as const);
    const outcome = await Promise.race([answered, delay(PING_MS, "timeout" as const, { ref: false })]).catch(
      () => "error" as const,
    );
    if (outcome === true) observer.exchanged((performance.now() - began) / 1000);
    // A connection that was lost meanwhile counts once, as that.
    else if (outcome === "timeout" && link.health().up) observer.failed("timeout");
  };
  link.listen({
    opened: () => {},
    refused: () => observer.failed("error"),
    health: ({ up }) => {
      clearInterval(timer);
      if (up) {
        observer.connected();
        void ping();
        timer = setInterval(() => void ping(), PING_MS).unref();
      } else {
        observer.lost();
        if (!link.closed) observer.failed("error");
      }
    },
  });
}
