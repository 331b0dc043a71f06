import type { KeySource, Revocation } from "@culvert/credentials";
import { type EventBus, type Subscription, subjectToken } from "@culvert/events";
import { WatchKeysResponse } from "./generated/culvert/credential/v1/keys.ts";
import { fromWatchKeysResponse, toWatchKeysResponse } from "./mappers.ts";

const ROOT = "culvert.credential.revoked";

/**
 * Tells of a revocation as it is made: `culvert.credential.revoked.<tenant>`, a `WatchKeysResponse` without a revision.
 *
 * @throws BusError as {@link EventBus.publish}
 */
export function publishRevocationHint(bus: EventBus, revocation: Revocation): void {
  const message = toWatchKeysResponse({ revision: 0n, change: { type: "revoked", revocation } });
  bus.publish(`${ROOT}.${subjectToken(revocation.tenant)}`, WatchKeysResponse.encode(message).finish());
}

/**
 * A source of keys that learns of revocations over the bus, too: at once, and also while the credential service that is
 * followed is away. What the source itself tells counts: a revocation that comes from both changes nothing the second time.
 * Hints that cannot be read are dropped.
 */
export function withRevocationHints(source: KeySource, bus: EventBus): KeySource {
  return {
    watch(sink) {
      let revision: bigint | undefined;
      let subscription: Subscription | undefined;
      let closed = false;
      const watch = source.watch({
        onSnapshot(snapshot, at) {
          revision = at;
          sink.onSnapshot(snapshot, at);
        },
        onChange(change, at) {
          revision = at;
          sink.onChange(change, at);
        },
      });
      const hear = async (): Promise<void> => {
        const made = await bus.subscribe(`${ROOT}.*`, ({ data }) => {
          const change = hintOf(data);
          // Before the first snapshot there is nothing to cut, and the snapshot will tell.
          if (change !== undefined && revision !== undefined) sink.onChange(change, revision);
        });
        if (closed) made.unsubscribe();
        else subscription = made;
      };
      // A bus that is closed has no hints; the source goes on.
      hear().catch(() => {});
      return {
        ready: watch.ready,
        connected: () => watch.connected(),
        close() {
          closed = true;
          subscription?.unsubscribe();
          watch.close();
        },
      };
    },
  };
}

function hintOf(data: Uint8Array) {
  try {
    const update = fromWatchKeysResponse(WatchKeysResponse.decode(data));
    return update !== undefined && "change" in update && update.change.type === "revoked" ? update.change : undefined;
  } catch {
    return undefined;
  }
}
