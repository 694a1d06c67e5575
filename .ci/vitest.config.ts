import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { LongFirst } from "./long-first.ts";

/**
 * Two projects. `unit` shares one module graph between files, which is what makes it fast; `process` gives each file a
 * process of its own, because those tests start daemons, bind ports and send signals. They wait most of the time: three at a time.
 * What they start is what is shipped, the bundles, which start in less than half the CPU time of the sources: built before them.
 */
export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "bench/**/*.test.ts", ".ci/**/*.test.ts"],
          exclude: ["**/*.process.test.ts", "**/node_modules/**"],
          pool: "threads",
          // vitest leaves one core free if it is not told
          maxWorkers: availableParallelism(),
          isolate: false,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "process",
          include: ["packages/*/src/**/*.process.test.ts"],
          globalSetup: [".ci/build-first.ts"],
          pool: "forks",
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
