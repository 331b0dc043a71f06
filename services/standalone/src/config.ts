import { configSchema, configTree, loadConfig, secretFiles } from "@culvert/config";
import { type CredentialServiceConfig, credentialConfigSchema } from "@culvert/credential-service";
import { type RelayConfig, relayConfigSchema } from "@culvert/relay-service";
import { type SignalingConfig, signalingConfigSchema } from "@culvert/signaling-service";
import { type StunConfig, stunConfigSchema } from "@culvert/stun-service";
import type { standaloneDefaults } from "./defaults.ts";

export interface StandaloneConfig {
  readonly relay: RelayConfig;
  readonly stun: StunConfig;
  readonly credential: CredentialServiceConfig;
  readonly signaling: SignalingConfig;
}

/** Reads all four sections. Throws a ConfigError of one line for the first thing that is wrong. */
export function loadStandaloneConfig(
  defaults: ReturnType<typeof standaloneDefaults>,
  source: { readonly env: NodeJS.ProcessEnv; readonly file: string | undefined },
): StandaloneConfig {
  const { env, file } = source;
  const options = { env, ...(file === undefined ? {} : { file }) };
  return {
    relay: loadConfig(relayConfigSchema, { section: "relay", defaults: defaults.relay, ...options }),
    stun: loadConfig(stunConfigSchema, { section: "stun", defaults: defaults.stun, ...options }),
    credential: loadConfig(credentialConfigSchema, {
      section: "credential",
      defaults: defaults.credential,
      ...options,
    }),
    signaling: loadConfig(signalingConfigSchema, { section: "signaling", defaults: defaults.signaling, ...options }),
  };
}

/** The files that the configuration is read from. */
export function standaloneFiles({
  env,
  file,
}: {
  readonly env: NodeJS.ProcessEnv;
  readonly file: string | undefined;
}): readonly string[] {
  const schemas = {
    relay: relayConfigSchema,
    stun: stunConfigSchema,
    credential: credentialConfigSchema,
    signaling: signalingConfigSchema,
  };
  const secrets = Object.entries(schemas).flatMap(([section, schema]) => secretFiles(section, configTree(schema), env));
  return [...(file === undefined ? [] : [file]), ...secrets];
}

/** The JSON schema of a configuration file with all sections. */
export function standaloneSchema(): Record<string, unknown> {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    properties: {
      relay: configSchema(relayConfigSchema),
      stun: configSchema(stunConfigSchema),
      credential: configSchema(credentialConfigSchema),
      signaling: configSchema(signalingConfigSchema),
    },
    additionalProperties: false,
  };
}
