import { defineConfig } from "vitest/config";
import { useRunFolder } from "./libs/testkit/src/run-folder.ts";

useRunFolder();

const conditions = ["development", "node", "import"];

const project = (name: string, include: string[], extra: object = {}) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { name, include, environment: "node", ...extra },
});

/**
 * A limit is there to end what hangs, never to judge speed: a property test that computes for half a second takes ten where others take
 * the cores.
 */
const HANGS = 60_000;

/**
 * How long `expect.poll` waits for what has to come, unless a test says otherwise: nearly as long as the test may take, so that
 * a machine that is slow is waited for, and what does not come is told by its own name.
 */
const patience = (testTimeout: number): object => ({ testTimeout, expect: { poll: { timeout: 0.8 * testTimeout } } });

export default defineConfig({
  test: {
    projects: [
      // Cores without sockets or clocks.
      project(
        "unit",
        [
          "libs/{stun,turn,credentials,fleet,rendezvous,testkit,config,runtime,telemetry,tracing}/test/**/*.test.ts",
          "scripts/**/*.test.ts",
          "{bench,fuzz}/test/**/*.test.ts",
        ],
        patience(HANGS),
      ),
      // Real sockets on loopback: ports, services, the CLI.
      project(
        "services",
        [
          "libs/{contracts,state,events,dataplane,turn-client}/test/**/*.test.ts",
          "services/*/test/**/*.test.ts",
          "cli/test/**/*.test.ts",
          "dashboards/test/**/*.test.ts",
        ],
        { ...patience(HANGS), hookTimeout: HANGS },
      ),
      // Foreign clients against the running platform, one file at a time: they share two cores.
      project("e2e", ["e2e/{cluster,deploy,interop,platform}/**/*.test.ts"], {
        ...patience(120_000),
        hookTimeout: 120_000,
        fileParallelism: false,
        sequence: { groupOrder: 1 },
      }),
    ],
  },
});
