import { afterEach, describe, expect, it } from "vitest";
import { makeManualClock, type ManualClock } from "./manual-clock.ts";
import { Cluster, type Member, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";

/** The least election timeout of these clusters. */
const electionMs = 20 * 50;

let cluster: Cluster;

afterEach(async () => {
  await cluster.stop();
});

function start(ids: readonly number[], seed = 1): ManualClock {
  const clock = makeManualClock();
  cluster = new Cluster(ids, { clock, seed });
  return clock;
}

const others = (leader: Member): Member[] => [...cluster.members.values()].filter(({ id }) => id !== leader.id);

describe("a leader whose process is over", () => {
  it.each([
    { size: 3, seed: 1 },
    { size: 3, seed: 2 },
    { size: 3, seed: 3 },
    { size: 5, seed: 4 },
    { size: 5, seed: 5 },
  ])("is followed by another long before an election timeout ($size members, seed $seed)", async ({ size, seed }) => {
    start(
      Array.from({ length: size }, (_, n) => n + 1),
      seed,
    );
    const old = await cluster.elected();
    await cluster.agreed();
    taken(old.node.propose([addition("before")]));
    await cluster.agreed();
    await cluster.kill(old.id);
    const took = await cluster.until("another leader", () => cluster.leader() !== undefined);
    expect(took).toBeLessThan(electionMs / 2);
    const fresh = await cluster.elected();
    taken(fresh.node.propose([addition("after")]));
    await cluster.agreed();
    for (const { machine } of others(old)) expect(machine.content.done).toEqual(["before", "after"]);
  });

  it("is given its election timeout when it vanishes without a word", async () => {
    const clock = start([1, 2, 3]);
    const old = await cluster.elected();
    await cluster.agreed();
    const left = others(old);
    cluster.network.partition(left.map(({ id }) => id));
    await clock.advance(electionMs / 2);
    expect(left.map(({ machine }) => machine.role.state)).toEqual(["follower", "follower"]);
    await cluster.until("another leader", () => left.some(({ machine }) => machine.role.state === "leader"));
  });

  it("goes on leading, in its term, when one follower was told wrongly, and when both were", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const { term } = leader.machine.role;
    for (const misled of [others(leader).slice(0, 1), others(leader)]) {
      await clock.advance(electionMs);
      for (const { transport } of misled) transport.onGone(leader.id);
      taken(leader.node.propose([addition(`told ${misled.length}`)]));
      await clock.advance(3 * electionMs);
      expect(leader.machine.role).toEqual({ state: "leader", term, leader: leader.id });
    }
    await cluster.agreed();
    expect(leader.machine.content.done).toEqual(["told 1", "told 2"]);
  });

  it("is no business of whoever follows another", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const [one, other] = others(leader);
    one?.transport.onGone(other?.id ?? 0);
    await clock.advance(0);
    expect(one?.machine.role.leader).toBe(leader.id);
  });
});
