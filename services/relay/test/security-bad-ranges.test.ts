import { ConfigError, loadConfig } from "@culvert/config";
import { createRelayService, relayConfigSchema } from "@culvert/relay-service";
import { createLogger } from "@culvert/telemetry";
import { expect, test } from "vitest";

const BAD = [
  "",
  "10.0.0.0/33",
  "10.0.0.0/-1",
  "10.0.0.0/08",
  "10.0.0.0/8/8",
  "10.0.0.0/255.0.0.0",
  "10.0.0/8",
  "010.0.0.0/8",
  "0x0a.0.0.0/8",
  "::/129",
  ":::/8",
  "fe80::1%eth0/64",
  "10.0.0.0 /8",
  "10.0.0.0/8,11.0.0.0/8",
];

/** What the operator is told when the relay is started with these peers; undefined where it starts. */
async function complaint(peers: object): Promise<string | undefined> {
  try {
    const config = loadConfig(relayConfigSchema, {
      section: "relay",
      env: {},
      overrides: {
        listeners: [{ transport: "udp", ip: "127.0.0.1", port: 0 }],
        addresses: ["127.0.0.1"],
        auth: { secrets: ["a secret"] },
        ops: { enabled: false },
        peers,
      },
    });
    const service = createRelayService(config, {
      logger: createLogger({ service: "relay", level: "silent" }),
      resolver: async (host) => Promise.reject(new Error(`${host} does not resolve`)),
    });
    await service.start();
    await service.stop();
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

const LISTS: readonly (readonly [string, (text: string) => object])[] = [
  ["allow", (text) => ({ allow: ["10.0.0.0/8", text] })],
  ["dangerouslyAllow", (text) => ({ dangerouslyAllow: ["10.0.0.0/8", text] })],
  ["deny", (text) => ({ deny: ["10.0.0.0/8", text] })],
  ["fleet", (text) => ({ fleet: [{ range: "10.0.0.0/8" }, { range: text }] })],
];

test.each(LISTS)("a malformed range in peers.%s ends the relay with one line that names it", async (key, peers) => {
  for (const text of BAD) {
    const message = (await complaint(peers(text))) ?? "started";
    expect(message.split("\n")).toHaveLength(1);
    expect(message.startsWith(`relay.peers.${key}[1]`), `${text}: ${message}`).toBe(true);
    if (text !== "") expect(message).toContain(text);
  }
});

// A list of backends holds names as well: only what is an address with something after it can be seen to be wrong.
test.each(["10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/255.0.0.0", "::/129"])(
  "the malformed range %s in peers.backends ends it, too",
  async (text) => {
    expect(await complaint({ backends: [text] })).toMatch(/^relay\.peers\.backends.*: .*$/);
    expect(await complaint({ backends: [text] })).toContain(text);
  },
);
