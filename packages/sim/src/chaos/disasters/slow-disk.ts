/**
 * A member's disk is slow, or hangs now and then for seconds: every durable step takes longer. The process, its network and
 * its clock are as quick as ever, which is what makes such a member worse than a dead one.
 */
import type { Disaster } from "../disaster.ts";
import { ArmedRestarts } from "./armed-restarts.ts";

const longestDownMs = 100;

export function slowDisk(): Disaster {
  let restarts: ArmedRestarts | null = null;
  let giveBack = (): void => undefined;
  return {
    name: "slow-disk",
    begin: async (cluster, stream) => {
      const node = cluster.take(stream);
      if (node === null) return;
      giveBack = () => cluster.giveBack(node);
      await cluster.kill(node, "SIGTERM");
      const slow = Math.round(stream.between(2, 80));
      const hang = Math.round(stream.between(500, 4_000));
      const rules = [`beforeAppendSync=sleep:${slow}@0.5`, `beforeGuardSync=sleep:${slow}`, `beforeFlush=sleep:${4 * slow}@0.5`];
      const step = stream.pick(["beforeAppendSync", "beforeGuardSync", "beforeFlush", "beforeVoteGuard"]);
      if (stream.chance(0.5)) rules.push(`${step}=sleep:${hang}@0.02`);
      restarts = new ArmedRestarts(cluster, node, stream, () => rules, longestDownMs);
    },
    end: async (cluster) => {
      try {
        await restarts?.end();
        if (restarts !== null && restarts.deaths > 0) throw new Error(`a slow disk ended its member ${restarts.deaths} times`);
      } finally {
        restarts = null;
        giveBack();
        giveBack = () => undefined;
        cluster.tell("slow-disk", "quick again");
      }
    },
  };
}
