import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { loadConfig } from "@culvert/config";
import { createNodeDataPlane } from "@culvert/dataplane";
import { createRelayService, relayConfigSchema } from "@culvert/relay-service";
import { createLogger } from "@culvert/telemetry";
import { encodeTrace, RecordingDataPlane } from "@culvert/testkit";
import type { TurnAccount } from "../support/account.ts";

/** Also where `libs/dataplane/test/recorded.test.ts` reads them. */
const TRACES = new URL("../../libs/dataplane/test/recorded/", import.meta.url);

export interface RecordedRelay {
  readonly account: TurnAccount;
  readonly host: string;
  readonly ports: Readonly<Record<"udp" | "tcp", number>>;
}

/** Runs a relay on 127.0.0.1 and ::1 for as long as `session` takes, and writes what its data plane was given. */
export async function recordTrace(
  name: string,
  recorded: string,
  session: (relay: RecordedRelay) => Promise<unknown>,
): Promise<void> {
  const clock = () => performance.now();
  const recording = new RecordingDataPlane(createNodeDataPlane({ clock }), clock);
  const account = { username: "alice", password: "wonderland" };
  const host = "127.0.0.1";
  const config = loadConfig(relayConfigSchema, {
    section: "relay",
    env: {},
    defaults: {
      listeners: ["udp", "tcp"].map((transport) => ({ transport, ip: host, port: 0 })),
      addresses: [host, "::1"],
      auth: { users: [account] },
      peers: { dangerouslyAllow: ["127.0.0.0/8", "::1/128"] },
      ops: { port: 0 },
      drain: { timeout: 0 },
    },
    overrides: {},
  });
  const logger = createLogger({ service: "relay", level: "silent" });
  const service = createRelayService(config, { dataPlane: recording.plane, clock, logger });
  const { listeners } = await service.start();
  const portOf = (transport: string) => listeners.find((one) => one.transport === transport)?.port ?? 0;
  try {
    await session({ account, host, ports: { udp: portOf("udp"), tcp: portOf("tcp") } });
  } finally {
    await service.stop();
  }
  await writeFile(fileURLToPath(new URL(`${name}.jsonl.gz`, TRACES)), encodeTrace(recording.finish(recorded)));
}
