/**
 * A member dies, or is refused a write, in the middle of its durable steps, again and again. Each start is armed with
 * other places; how often one is passed decides the chance that suits it.
 */
import type { Failpoint } from "@aether/core/kernel/failpoint";
import type { Disaster } from "../disaster.ts";
import { ArmedRestarts } from "./armed-restarts.ts";

/** Places by the chance at each passage: those of every commit, of every flush or guard write, and of rare events. */
const places: readonly (readonly [chance: number, places: readonly Failpoint[]])[] = [
  [0.004, ["beforeAppendSync", "afterAppendSync", "beforeThenSend", "beforeApply", "afterApply"]],
  [0.05, ["beforeFlush", "afterFlush", "beforeGuardSync", "afterGuardSync"]],
  [0.3, ["beforeFloors", "afterFloors", "beforeVoteGuard", "afterVoteGuard", "beforeTruncate", "afterTruncate"]],
  [0.5, ["beforeReceivedSync", "beforeReceivedRename", "afterReceivedRename"]],
  [0.5, ["beforeSnapSync", "beforeSnapRename", "afterSnapRename"]],
  [0.5, ["beforeRestoreSwitch", "afterRestoreSwitch", "beforeCompact", "afterCompact", "beforeTrim"]],
];
const all = places.flatMap(([chance, names]) => names.map((name) => ({ name, chance })));
const rulesAtATime = 4;
const longestDownMs = 800;

export function failpointKills(): Disaster {
  let restarts: ArmedRestarts | null = null;
  let giveBack = (): void => undefined;
  return {
    name: "failpoints",
    begin: async (cluster, stream) => {
      const node = cluster.take(stream);
      if (node === null) return;
      giveBack = () => cluster.giveBack(node);
      await cluster.kill(node);
      const draw = (): readonly string[] => {
        const rules: string[] = [];
        for (let n = 0; n < rulesAtATime; n++) {
          // A place of every commit in each draw: whoever passes nothing else passes that.
          const { name, chance } = n === 0 ? stream.pick(all.slice(0, 5)) : stream.pick(all);
          const action = stream.chance(0.75) ? "kill" : `error:${stream.pick(["EIO", "ENOSPC"])}`;
          rules.push(`${name}=${action}@${chance}`);
        }
        return rules;
      };
      restarts = new ArmedRestarts(cluster, node, stream, draw, longestDownMs);
    },
    end: async (cluster) => {
      try {
        await restarts?.end();
        if (restarts !== null) cluster.tell("failpoints", `${restarts.deaths} deaths`);
      } finally {
        restarts = null;
        giveBack();
        giveBack = () => undefined;
      }
    },
  };
}
