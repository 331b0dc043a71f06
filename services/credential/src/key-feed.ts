import type { CredentialStore, StoreWatch } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";
import type { KeyFeed } from "./ports.ts";

const RETRY_MS = 1_000;

/** The key feed of a store. A store that cannot be reached yet is asked again each second, without end. */
export function createKeyFeed(store: CredentialStore, logger: Logger): KeyFeed {
  return {
    watch(sink) {
      let closed = false;
      let connected = false;
      let running: StoreWatch | undefined;
      let retry: NodeJS.Timeout | undefined;
      let arrived: () => void = () => {};
      let abandoned: (error: Error) => void = () => {};
      const ready = new Promise<void>((resolve, reject) => {
        arrived = resolve;
        abandoned = reject;
      });
      ready.catch(() => {});

      const attempt = async (): Promise<void> => {
        try {
          const watch = await store.watch((update) => {
            if (closed) return;
            if ("snapshot" in update) sink.onSnapshot(update.snapshot, update.revision);
            else sink.onChange(update.change, update.revision);
          });
          if (closed) {
            await watch.close();
            return;
          }
          running = watch;
          connected = true;
          arrived();
        } catch (error) {
          if (closed) return;
          logger.warn({ err: error, retryInMs: RETRY_MS }, "the credential store cannot be watched");
          retry = setTimeout(() => void attempt(), RETRY_MS);
        }
      };
      void attempt();

      return {
        ready,
        connected: () => connected,
        close() {
          if (closed) return;
          closed = true;
          connected = false;
          clearTimeout(retry);
          abandoned(new Error("the key watch was closed before its first snapshot"));
          running?.close().catch((error: unknown) => logger.warn({ err: error }, "a key watch did not close"));
        },
      };
    },
  };
}
