import { afterEach, describe, expect, it } from "vitest";
import { makeManualClock } from "./manual-clock.ts";
import { Cluster, type ClusterOptions, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";

let cluster: Cluster;

afterEach(async () => {
  await cluster.stop();
});

function start(ids: readonly number[], options: Omit<ClusterOptions, "clock"> = {}): ReturnType<typeof makeManualClock> {
  const clock = makeManualClock();
  cluster = new Cluster(ids, { clock, ...options });
  return clock;
}

describe("three drivers", () => {
  it("elect a leader and commit what it takes on all of them", async () => {
    start([1, 2, 3]);
    const leader = await cluster.elected();
    taken(leader.node.propose([addition("a"), addition("b")]));
    taken(leader.node.propose([addition("c")]));
    await cluster.agreed();
    for (const { machine } of cluster.members.values()) expect(machine.content.done).toEqual(["a", "b", "c"]);
  });
});
