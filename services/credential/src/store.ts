import { ConfigError, readRedisAccess } from "@culvert/config";
import { type CredentialStore, createMemoryCredentialStore, createRedisCredentialStore } from "@culvert/state";
import { createRedisMetrics, type Logger, type Metrics } from "@culvert/telemetry";
import type { CredentialServiceConfig } from "./config.ts";

const PATIENCE_MS = 30_000;
const LOOK_MS = 250;

/** The store that the configuration names: Redis, or this process's memory. Throws a ConfigError for files it cannot read. */
export function openStore({ redis }: CredentialServiceConfig, logger: Logger, { meter }: Metrics): CredentialStore {
  if (redis === undefined) return createMemoryCredentialStore();
  const observer = createRedisMetrics(meter, "culvert_credential");
  return createRedisCredentialStore({ ...readRedisAccess("credential.redis", redis), logger, observer });
}

/** Waits for a store that starts together with the service. Throws a ConfigError when it does not answer in half a minute. */
export async function storeAnswers(store: CredentialStore, logger: Logger): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (let told = false; !(await store.healthy()); told = true) {
    if (performance.now() >= end) {
      throw new ConfigError(
        `credential.redis: does not answer within ${PATIENCE_MS / 1000} s: must be a Redis that runs`,
      );
    }
    if (!told) logger.warn("the credential store does not answer yet; waiting for it");
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
