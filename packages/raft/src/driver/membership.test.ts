import { afterEach, describe, expect, it } from "vitest";
import type { Change } from "../types.ts";
import { makeManualClock, type ManualClock } from "./manual-clock.ts";
import { Cluster, type ClusterOptions, type Member, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";

const nothing = new Uint8Array(0);
let cluster: Cluster;

afterEach(async () => {
  await cluster.stop();
});

function start(ids: readonly number[], options: Omit<ClusterOptions, "clock"> = {}): ManualClock {
  const clock = makeManualClock();
  cluster = new Cluster(ids, { clock, ...options });
  return clock;
}

/** Asks whoever leads until the change is through; a refusal or a lost leader only costs another try. */
async function changed(changes: readonly Change[]): Promise<void> {
  let done = false;
  let asking = false;
  await cluster.until(`change ${JSON.stringify(changes)}`, () => {
    const leader = cluster.leader();
    if (!asking && leader !== undefined) {
      asking = true;
      leader.node
        .change(changes, nothing, 2000)
        .then(() => (done = true))
        .catch(() => undefined)
        .finally(() => (asking = false));
    }
    return done;
  });
}

/** The leader sees `id` at its own last entry. */
function caughtUp(leader: Member, id: number): boolean {
  const { progress, last } = leader.node.status();
  return progress.get(id)?.match === last.index;
}

describe("membership", () => {
  it("grows from one to three to five and shrinks back under load, and nothing acknowledged is lost", async () => {
    const clock = start([1]);
    await cluster.elected();
    const acknowledged = new Set<string>();
    const refusals = new Set<string>();
    let sent = 0;
    let writing = true;
    const write = (): void => {
      if (!writing) return;
      const leader = cluster.leader();
      if (leader !== undefined) {
        leader.machine.onAddition = (name) => acknowledged.add(name);
        const outcome = leader.node.propose([addition(`w${(sent += 1)}`)]);
        if (!outcome.ok) refusals.add(outcome.why);
      }
      clock.after(3, write);
    };
    write();
    for (const id of [2, 3, 4, 5]) {
      cluster.start(id);
      await changed([{ op: "addLearner", id }]);
      const leader = await cluster.elected();
      await cluster.until(`learner ${id} is close behind`, () => {
        const { progress, last } = leader.node.status();
        return (progress.get(id)?.match ?? 0) >= last.index - 10;
      });
      await changed([{ op: "addVoter", id }]);
    }
    expect((await cluster.elected()).node.status().membership.voters).toEqual([1, 2, 3, 4, 5]);
    // Two at once: this one goes through a joint membership, and takes out the leader itself.
    const leaving = (await cluster.elected()).id;
    const other = leaving === 5 ? 4 : 5;
    await changed([
      { op: "remove", id: leaving },
      { op: "remove", id: other },
    ]);
    await cluster.kill(leaving);
    await cluster.kill(other);
    const leader = await cluster.elected();
    await cluster.until("writes go on", () => acknowledged.has(`w${sent}`) || leader.node.propose([addition("last")]).ok);
    writing = false;
    await clock.advance(10);
    await cluster.agreed();
    expect(leader.node.status().membership).toMatchObject({ outgoing: [], learners: [], autoLeave: false });
    expect(leader.node.status().membership.voters).toHaveLength(3);
    expect(acknowledged.size).toBeGreaterThan(50);
    for (const { machine } of cluster.members.values()) {
      expect(machine.content.done).toEqual(expect.arrayContaining([...acknowledged]));
    }
    expect([...refusals].filter((why) => !["noLeader", "notLeader", "transferring"].includes(why))).toEqual([]);
  });

  it("resolves a joint change when the joint membership was left, and shows each step to the state machine in order", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    for (const id of [4, 5]) cluster.start(id);
    let final: unknown = null;
    const change = leader.node.change(
      [
        { op: "addVoter", id: 4 },
        { op: "addVoter", id: 5 },
      ],
      Buffer.from("two more"),
      10_000,
    );
    change.then((m) => (final = m)).catch((e: unknown) => (final = e));
    await cluster.until("it is over", () => final !== null);
    await clock.advance(0);
    expect(final).toMatchObject({ voters: [1, 2, 3, 4, 5], outgoing: [], autoLeave: false });
    const seen = leader.machine.memberships.map(({ voters, outgoing }) => `${voters.join("")}/${outgoing.join("")}`);
    expect(seen).toEqual(["123/", "12345/123", "12345/"]);
    await cluster.agreed();
    expect(cluster.member(5).machine.memberships.map(({ voters }) => voters.length)).toEqual([3, 5, 5]);
  });

  it("refuses changes by name: not leading, one pending, invalid, too late", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const follower = cluster.member((leader.id % 3) + 1);
    await expect(follower.node.change([{ op: "remove", id: 1 }], nothing, 100)).rejects.toMatchObject({
      name: "ChangeRefused",
      why: "notLeader",
      leader: leader.id,
    });
    await expect(leader.node.change([], nothing, 100)).rejects.toMatchObject({ why: "invalid" });
    cluster.network.partition([leader.id]);
    const stuck = leader.node.change([{ op: "addLearner", id: 7 }], nothing, 300).catch((e: unknown) => e);
    await expect(leader.node.change([{ op: "addLearner", id: 8 }], nothing, 100)).rejects.toMatchObject({ why: "configPending" });
    await clock.advance(400);
    expect(await stuck).toMatchObject({ name: "ChangeRefused", why: "deadline" });
  });

  it("tells the caller when its change was overwritten by another leader", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    cluster.network.partition(
      [leader.id],
      [1, 2, 3].filter((id) => id !== leader.id),
    );
    const lost = leader.node.change([{ op: "addLearner", id: 7 }], nothing, 60_000).catch((e: unknown) => e);
    await cluster.until("the others elect", () => cluster.leader()?.id !== leader.id);
    cluster.network.heal();
    await cluster.agreed();
    await clock.advance(100);
    expect(await lost).toMatchObject({ name: "ChangeRefused", why: "dropped" });
    expect(leader.node.status().membership.learners).toEqual([]);
  });

  it("a removed member is told so and disturbs nobody", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const gone = (leader.id % 3) + 1;
    cluster.network.partition(
      [gone],
      [1, 2, 3].filter((id) => id !== gone),
    );
    await changed([{ op: "remove", id: gone }]);
    const { term } = leader.node.status().hard;
    cluster.network.heal();
    await clock.advance(20_000);
    expect(cluster.leader()?.id).toBe(leader.id);
    expect(leader.node.status().hard.term).toBe(term);
    expect(cluster.member(gone).node.status().hard.term).toBe(term);
    const asked: number[] = [];
    cluster.network.tap(({ from, m }) => {
      if (from === gone && (m.t === "preVote" || m.t === "vote")) asked.push(from);
    });
    await clock.advance(20_000);
    expect(asked).toEqual([]);
  });

  it("a member that an old membership does not know is answered when it asks for a vote", async () => {
    start([1, 2, 3]);
    const first = await cluster.elected();
    await cluster.agreed();
    // Member `blind` misses everything about 4 and 5.
    const blind = (first.id % 3) + 1;
    const seeing = [1, 2, 3].filter((id) => id !== blind);
    cluster.network.partition([...seeing, 4, 5], [blind]);
    for (const id of [4, 5]) cluster.start(id);
    await changed([{ op: "addVoter", id: 4 }]);
    await changed([{ op: "addVoter", id: 5 }]);
    // Now only 4, 5 and the blind one are left: a majority of five that needs its vote.
    for (const id of seeing) await cluster.kill(id);
    cluster.network.heal();
    const leader = await cluster.elected();
    expect([4, 5]).toContain(leader.id);
    await cluster.agreed();
    expect(cluster.member(blind).node.status().membership.voters).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("transfer", () => {
  it("moves leadership to the member asked for", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const to = (leader.id % 3) + 1;
    let moved = false;
    leader.node
      .transfer(to, 2000)
      .then(() => (moved = true))
      .catch(() => undefined);
    await clock.advance(100);
    expect(moved).toBe(true);
    expect(cluster.leader()?.id).toBe(to);
  });

  it("fails by name: to itself nothing happens, to a dead member it is given up, from a follower it is refused", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    await leader.node.transfer(leader.id, 1000);
    await expect(leader.node.transfer(9, 1000)).rejects.toMatchObject({ name: "TransferFailed", why: "invalid" });
    const follower = cluster.member((leader.id % 3) + 1);
    await expect(follower.node.transfer(leader.id, 1000)).rejects.toMatchObject({ why: "notLeader", leader: leader.id });
    await cluster.kill(follower.id);
    const aborted = leader.node.transfer(follower.id, 60_000).catch((e: unknown) => e);
    expect(leader.node.propose([addition("meanwhile")])).toMatchObject({ ok: false, why: "transferring" });
    await clock.advance(3000);
    expect(await aborted).toMatchObject({ why: "aborted" });
    const late = leader.node.transfer(follower.id, 200).catch((e: unknown) => e);
    await clock.advance(300);
    expect(await late).toMatchObject({ why: "deadline" });
    await clock.advance(3000);
    taken(leader.node.propose([addition("after")]));
    await cluster.until("it commits", () => leader.machine.content.done.includes("after"));
  });

  it("waits for a member that lags, then moves", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const to = (leader.id % 3) + 1;
    cluster.network.cut(leader.id, to);
    for (let n = 0; n < 50; n += 1) taken(leader.node.propose([addition(`${n}`)]));
    await clock.advance(50);
    expect(caughtUp(leader, to)).toBe(false);
    let moved = false;
    leader.node
      .transfer(to, 5000)
      .then(() => (moved = true))
      .catch(() => undefined);
    cluster.network.heal();
    await cluster.until("it moved", () => moved, 5000);
    expect((await cluster.elected()).machine.content.total).toBe(50);
  });
});
