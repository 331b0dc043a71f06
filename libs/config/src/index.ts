export {
  type CertificateFiles,
  CertificateKeeper,
  type CertificateKeeperOptions,
  type CertificateLogger,
  type CertificatePair,
  readCertificate,
  readPem,
} from "./certificate.ts";
export { type ConfigChange, changedKeys, isWithin, planChange, tellChange, withChanges } from "./changes.ts";
export { secretFiles, type Variable, variableName, variables } from "./environment.ts";
export { ConfigError } from "./error.ts";
export {
  grpcTarget,
  ipAddress,
  ipAddressOrAuto,
  ipRange,
  isIpAddress,
  LOG_LEVELS,
  listenPort,
  logLevel,
  type OpsConfig,
  opsSection,
  origin,
  port,
  sharedToken,
  splitAddress,
} from "./fields.ts";
export { SECTIONS } from "./file.ts";
export { FileWatch } from "./file-watch.ts";
export {
  type CredentialConfig,
  credentialSection,
  type GrpcClientTls,
  type GrpcCredentials,
  GrpcProof,
  type GrpcServerTls,
  grpcClientTls,
  grpcServerTls,
  readGrpcCredentials,
  readGrpcServerTls,
} from "./grpc.ts";
export { GrpcTlsKeeper, type GrpcTlsKeeperOptions } from "./grpc-tls-keeper.ts";
export { automaticAddress, type HostAddress, hostAddresses } from "./host-addresses.ts";
export {
  byteCount,
  certificateSection,
  checkCertificate,
  datagramLimits,
  dataPlaneKind,
  streamLimits,
} from "./listeners.ts";
export { configSchema, type LoadOptions, loadConfig } from "./load.ts";
export {
  type Host,
  isEntryPoint,
  type MainOptions,
  type Running,
  type RunningProcess,
  reread,
  runMain,
  runProcess,
  serviceMain,
} from "./main.ts";
export { coturn, secret } from "./meta.ts";
export { type NatsAccess, type NatsConfig, natsSection, readNatsAccess } from "./nats.ts";
export { type RedisAccess, type RedisAddress, type RedisConfig, readRedisAccess, redisSection } from "./redis.ts";
export { configReference } from "./reference.ts";
export { OTLP_PROTOCOLS, type OtlpProtocol, type TelemetryConfig, telemetrySection } from "./telemetry.ts";
export { type OtlpTarget, readTelemetryAccess, type TelemetryAccess } from "./telemetry-access.ts";
export { type ConfigNode, configTree } from "./tree.ts";
