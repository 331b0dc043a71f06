/** Two tags of the same programs: an upgrade from one to the other replaces every pod. */
export const CULVERT_TAGS = { first: "test-1", second: "test-2" } as const;

export const IMAGES = {
  culvert: "culvert.test/culvert",
  redis: "culvert.test/redis",
  nats: "culvert.test/nats",
  coredns: "culvert.test/coredns",
} as const;

/** Of the images that are not the platform's. */
export const TAG = "test";
export const PAUSE_IMAGE = "culvert.test/pause:1";
