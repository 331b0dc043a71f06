export type { AllocateOptions, Allocation } from "./allocation.ts";
export { connectTurn } from "./connect.ts";
export { TurnError, type TurnErrorInit, type TurnErrorKind } from "./errors.ts";
export { systemTimers, type Timers } from "./timers.ts";
export type { TlsOptions, TransportKind } from "./transport.ts";
export type { ConnectOptions, DataPath, RequestOptions, SendOptions, TurnClient } from "./types.ts";
