import { defineConfig } from "vitest/config";
import { useRunFolder } from "./libs/testkit/src/run-folder.ts";

useRunFolder();

const conditions = ["development", "node", "import"];

const project = (name: string, include: string[], extra: object = {}) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { name, include, environment: "node", ...extra },
});

export default defineConfig({
  test: {
    projects: [
      // Cores without sockets or clocks.
      project("unit", [
        "libs/{stun,turn,credentials,fleet,rendezvous,testkit,config,runtime,telemetry}/test/**/*.test.ts",
        "scripts/**/*.test.ts",
        "{bench,fuzz}/test/**/*.test.ts",
      ]),
      // Real sockets on loopback: ports, services, the CLI.
      project(
        "services",
        [
          "libs/{contracts,state,events,dataplane,turn-client}/test/**/*.test.ts",
          "services/*/test/**/*.test.ts",
          "cli/test/**/*.test.ts",
          "dashboards/test/**/*.test.ts",
        ],
        { testTimeout: 20_000 },
      ),
      // Foreign clients against the running platform, one file at a time: they share two cores.
      project("e2e", ["e2e/{cluster,deploy,interop,platform}/**/*.test.ts"], {
        testTimeout: 120_000,
        hookTimeout: 120_000,
        fileParallelism: false,
        sequence: { groupOrder: 1 },
      }),
    ],
  },
});
