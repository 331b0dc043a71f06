export {
  type CertificateFiles,
  CertificateKeeper,
  type CertificateKeeperOptions,
  type CertificatePair,
  readCertificate,
  readPem,
} from "./certificate.ts";
export { type Variable, variableName, variables } from "./environment.ts";
export { ConfigError } from "./error.ts";
export {
  grpcClientTls,
  grpcTarget,
  ipAddress,
  ipRange,
  LOG_LEVELS,
  listenPort,
  logLevel,
  opsSection,
  port,
  sharedToken,
} from "./fields.ts";
export { SECTIONS } from "./file.ts";
export {
  type GrpcClientTls,
  type GrpcCredentials,
  type GrpcServerTls,
  readGrpcCredentials,
  readGrpcServerTls,
} from "./grpc.ts";
export { automaticAddress, type HostAddress, hostAddresses } from "./host-addresses.ts";
export { configSchema, type LoadOptions, loadConfig } from "./load.ts";
export { type Host, isEntryPoint, type MainOptions, type Running, runMain, runProcess } from "./main.ts";
export { coturn, secret } from "./meta.ts";
export { configReference } from "./reference.ts";
export { type ConfigNode, configTree } from "./tree.ts";
