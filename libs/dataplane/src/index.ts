export * from "./limits.ts";
export { createNodeDataPlane, type NodeDataPlaneOptions } from "./node/node-data-plane.ts";
export * from "./port.ts";
