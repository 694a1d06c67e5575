/** Resident memory per member with many events behind it. */
import { residentMiB } from "./process-costs.ts";
import type { MemoryData } from "./results.ts";
import { pause, say, type Stage } from "./stage.ts";

const settleSeconds = { full: 15, quick: 1 };

/** Of processes that have not been started again since the load: `memory` comes before `restart` in every run. */
export async function measureMemory(stage: Stage): Promise<MemoryData> {
  const { events, rows, quick } = stage.options;
  const seconds = quick ? settleSeconds.quick : settleSeconds.full;
  const sides: MemoryData["sides"][number][] = [];
  for (const { name, cluster, residentAfterFill: afterLoad } of await stage.clusters("deep")) {
    if (sides.length === 0) await pause(seconds * 1_000);
    const settled = cluster.pids.map(residentMiB);
    sides.push({ name, afterLoad, settled });
    const list = (values: readonly number[]): string => values.map(Math.round).join(" / ");
    say(`${name}: ${list(afterLoad)} MiB resident after the load, ${list(settled)} MiB later`);
  }
  return { events, rows, settleSeconds: seconds, sides };
}
