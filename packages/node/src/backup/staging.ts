/** Whether a restore is being staged: a backup waits until it has been applied or given up. */
import type { World } from "@aether/core/kernel/world";
import type { RestorationRow } from "@aether/core/restoration/state";

/** Parts that stay away this long, by the leader's clock, are those of a restore that nobody goes on with. */
const abandonedMs = 120_000;

/** `at`: Unix milliseconds. */
export function restoreUnderWay(world: World, at: number): boolean {
  for (const { row, at: since } of world.all<RestorationRow>("restoration")) {
    if (row.state === "staging" && at - since < abandonedMs) return true;
  }
  return false;
}
