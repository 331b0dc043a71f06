import { defineConfig } from "vitest/config";

const conditions = ["development", "node", "import"];

/** Writes the traces of libs/dataplane/test/recorded anew: npx vitest run --config e2e/record/vitest.config.ts */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name: "record",
    include: ["e2e/record/*.record.ts"],
    environment: "node",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
