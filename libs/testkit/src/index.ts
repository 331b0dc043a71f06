export { nodeCrypto } from "@culvert/runtime";
export { type TestCertificate, testCertificate } from "./certificate.ts";
export { Choices } from "./choices.ts";
export { type ManualClock, manualClock } from "./clock.ts";
export {
  applicationData,
  type DataPlaneTrace,
  decodeTrace,
  encodeTrace,
  type PlaneCommand,
  signAgain,
  type TraceStep,
} from "./data-plane-trace.ts";
export { mustDecode, outcomeOf } from "./expect-message.ts";
export { freePort } from "./free-port.ts";
export { type MountedVolume, mountVolume } from "./mounted-volume.ts";
export { type NatsServer, type NatsServerOptions, startNats } from "./nats.ts";
export { type SeededRandom, seededRandom } from "./random.ts";
export { RecordingDataPlane } from "./recording-data-plane.ts";
export { type RedisServer, type RedisServerOptions, startRedis } from "./redis.ts";
export {
  type RedisCluster,
  type RedisGroupAccess,
  type RedisSentinel,
  startRedisCluster,
  startRedisSentinel,
} from "./redis-groups.ts";
export { type CommandUsage, type RedisUsage, readRedisUsage, redisKeyBytes, usageBetween } from "./redis-meter.ts";
export { RelayTableModel, type TableRules } from "./relay-table-model.ts";
export { driveRestore } from "./restore-driver.ts";
export { useRunFolder } from "./run-folder.ts";
export { type Challenge, type RequestChanges, StunSession, type StunSessionOptions } from "./stun-session.ts";
export { type TcpSwitch, type TcpSwitchState, tcpSwitch } from "./tcp-switch.ts";
export { driveTurnServer } from "./turn-driver.ts";
