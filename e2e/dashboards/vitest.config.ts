import { defineConfig } from "vitest/config";

const conditions = ["development", "node", "import"];

/** `make dashboards-test`: what the chart shows and alerts on, against a running platform and against promtool. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name: "dashboards",
    include: ["dashboards/test/*.test.ts", "e2e/dashboards/*.test.ts"],
    environment: "node",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
