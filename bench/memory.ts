/** Resident memory per member with many events behind it. */
import type { MemoryData } from "./results.ts";
import { say, settleSeconds, type Stage } from "./stage.ts";

/** Of processes that have not been started again since the load: `memory` comes before `restart` in every run. */
export async function measureMemory(stage: Stage): Promise<MemoryData> {
  const { events, rows } = stage.options;
  const sides: MemoryData["sides"][number][] = [];
  for (const { name, residentAfterFill: afterLoad, residentSettled: settled } of await stage.clusters("deep")) {
    sides.push({ name, afterLoad, settled });
    const list = (values: readonly number[]): string => values.map(Math.round).join(" / ");
    say(`${name}: ${list(afterLoad)} MiB resident after the load, ${list(settled)} MiB later`);
  }
  return { events, rows, settleSeconds: settleSeconds(stage.options), sides };
}
