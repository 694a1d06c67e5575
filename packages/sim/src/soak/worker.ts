/** Lives the seeds it is sent, one after the other, and sends back what came of each. */
import { parentPort } from "node:worker_threads";
import { live } from "../life.ts";
import type { LifeOptions } from "../plan.ts";

parentPort?.on("message", (options: LifeOptions) => {
  live(options).then(
    (report) => parentPort?.postMessage({ ...report, timeline: [] }, []),
    (error: unknown) => {
      throw error;
    },
  );
});
