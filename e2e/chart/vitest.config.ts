import { defineConfig } from "vitest/config";

const conditions = ["development", "node", "import"];

/** The tests of the chart. They take helm, kube-apiserver and etcd, so that they are no part of `make test`: make chart-test. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name: "chart",
    include: ["e2e/chart/**/*.test.ts"],
    environment: "node",
    testTimeout: 60_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
});
