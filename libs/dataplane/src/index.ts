export { createDataPlane, type DataPlaneKind, type DataPlaneOptions } from "./create-data-plane.ts";
export * from "./limits.ts";
export * from "./mesh-port.ts";
export { nativeCrypto } from "./native/native-crypto.ts";
export { createNativeDataPlane, type NativeDataPlaneOptions } from "./native/native-data-plane.ts";
export { createNodeDataPlane, type NodeDataPlaneOptions } from "./node/node-data-plane.ts";
export * from "./port.ts";
