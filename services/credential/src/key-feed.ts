import { firstSnapshot, type KeySource } from "@culvert/credentials";
import type { CredentialStore, StoreWatch } from "@culvert/state";
import type { Logger } from "@culvert/telemetry";

const RETRY_MS = 1_000;

/** The keys of a store, for verifiers in this process and for the gRPC key feed. A store that cannot be reached yet is asked again each second, without end. */
export function createKeyFeed(store: CredentialStore, logger: Logger): KeySource {
  return {
    watch(sink) {
      let closed = false;
      let connected = false;
      let running: StoreWatch | undefined;
      let retry: NodeJS.Timeout | undefined;
      const first = firstSnapshot();

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
          first.arrived();
        } catch (error) {
          if (closed) return;
          logger.warn({ err: error, retryInMs: RETRY_MS }, "the credential store cannot be watched");
          retry = setTimeout(() => void attempt(), RETRY_MS);
        }
      };
      void attempt();

      return {
        ready: first.ready,
        connected: () => connected,
        close() {
          if (closed) return;
          closed = true;
          connected = false;
          clearTimeout(retry);
          first.closed();
          running?.close().catch((error: unknown) => logger.warn({ err: error }, "a key watch did not close"));
        },
      };
    },
  };
}
