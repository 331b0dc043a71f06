export { type Variable, variableName, variables } from "./environment.ts";
export { ConfigError } from "./error.ts";
export { SECTIONS } from "./file.ts";
export { configSchema, type LoadOptions, loadConfig } from "./load.ts";
export { type Host, isEntryPoint, type MainOptions, type Running, runMain } from "./main.ts";
export { coturn, secret } from "./meta.ts";
export { type ConfigNode, configTree } from "./tree.ts";
