import type { GrpcTlsKeeper } from "@culvert/config";
import type { Clock } from "@culvert/dataplane";
import { FailureLimiter } from "@culvert/runtime";
import type { Logger } from "@culvert/telemetry";
import type { Tracing } from "@culvert/tracing";
import { createAdminServer } from "./adapters/relay-admin.ts";
import type { RelayAdmin } from "./admin.ts";
import type { AdminConfig } from "./config.ts";

export interface OperatorsOptions {
  readonly config: AdminConfig;
  /** Of `config.tls`. */
  readonly tls: GrpcTlsKeeper | undefined;
  /** That operators must present now. */
  readonly token: () => string | undefined;
  readonly admin: RelayAdmin;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly onFailure: () => void;
  readonly onClose: (close: () => Promise<void>) => void;
}

/** Serves operators over gRPC. Rejects with a ListenError of one line. */
export async function serveOperators(
  options: OperatorsOptions,
): Promise<{ readonly host: string; readonly port: number }> {
  const { config, tls, admin, clock, logger, tracing, onFailure, onClose } = options;
  const server = createAdminServer({
    host: config.host,
    port: config.port,
    tls,
    get token() {
      return options.token();
    },
    admin,
    clock,
    failures: new FailureLimiter({ burst: 10, perMinute: 10, maxSources: 20_000 }),
    onFailure,
    tracing,
    logger,
  });
  const address = await server.listen();
  onClose(() => server.close());
  return address;
}
