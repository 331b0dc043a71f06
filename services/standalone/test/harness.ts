import { afterEach } from "vitest";
import { writeCertificate } from "../src/certificate.ts";
import { loadStandaloneConfig } from "../src/config.ts";
import { standaloneDefaults } from "../src/defaults.ts";
import { createStandaloneService, type Platform } from "../src/platform.ts";

const open: (() => Promise<void>)[] = [];

export function later(close: () => Promise<void>): void {
  open.push(close);
}

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** The platform as `culvert up` has it, on free ports. */
export async function platformOnFreePorts(env: NodeJS.ProcessEnv = {}): Promise<Platform> {
  const certificate = await writeCertificate("127.0.0.1", new Date());
  later(() => certificate.remove());
  let secrets = 0;
  const defaults = standaloneDefaults({
    host: "127.0.0.1",
    loopback6: false,
    certificate: { cert: certificate.cert, key: certificate.key },
    secret: () => `secret-of-this-test-${secrets++}`,
  });
  const free = (transport: string) => `{transport: ${transport}, ip: 127.0.0.1, port: 0}`;
  const config = loadStandaloneConfig(defaults, {
    file: undefined,
    env: {
      CULVERT_RELAY_LISTENERS: `[${["udp", "tcp", "tls"].map(free).join()}]`,
      CULVERT_STUN_LISTENERS: `[${free("udp")}]`,
      CULVERT_CREDENTIAL_HTTP_PORT: "0",
      CULVERT_SIGNALING_LISTEN_PORT: "0",
      ...Object.fromEntries(
        ["RELAY", "STUN", "CREDENTIAL", "SIGNALING"].flatMap((section) => [
          [`CULVERT_${section}_OPS_PORT`, "0"],
          [`CULVERT_${section}_LOG_LEVEL`, "silent"],
        ]),
      ),
      ...env,
    },
  });
  const platform = createStandaloneService(config, { host: "127.0.0.1", pretty: false });
  later(() => platform.stop());
  return platform;
}
