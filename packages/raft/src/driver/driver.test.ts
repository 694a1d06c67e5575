import { afterEach, describe, expect, it } from "vitest";
import { Broken } from "../errors.ts";
import type { Envelope } from "../types.ts";
import { makeManualClock, type ManualClock } from "./manual-clock.ts";
import { Cluster, type ClusterOptions, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";

let cluster: Cluster;

afterEach(async () => {
  await cluster.stop();
});

function start(ids: readonly number[], options: Omit<ClusterOptions, "clock"> = {}): ManualClock {
  const clock = makeManualClock();
  cluster = new Cluster(ids, { clock, ...options });
  return clock;
}

describe("three drivers", () => {
  it("elect a leader and commit what it takes on all of them", async () => {
    start([1, 2, 3]);
    const leader = await cluster.elected();
    const first = taken(leader.node.propose([addition("a"), addition("b")]));
    expect(taken(leader.node.propose([addition("c")]))).toBe(first + 1);
    await cluster.agreed();
    for (const { machine } of cluster.members.values()) expect(machine.content.done).toEqual(["a", "b", "c"]);
  });

  it("refuse a proposal on a follower and name the leader", async () => {
    start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const follower = cluster.member((leader.id % 3) + 1);
    expect(follower.node.propose([addition("a")])).toEqual({ ok: false, why: "notLeader", leader: leader.id });
  });

  it("go on without a killed leader within two election timeouts, with everything that was acknowledged", async () => {
    start([1, 2, 3]);
    const old = await cluster.elected();
    const acknowledged: string[] = [];
    old.machine.onAddition = (name) => acknowledged.push(name);
    for (let n = 0; n < 200; n += 1) taken(old.node.propose([addition(`before-${n}`)]));
    await cluster.until("half of it is acknowledged", () => acknowledged.length >= 100);
    await cluster.kill(old.id);
    // An election timeout is 1 to 2 s here; the second one is for a split vote.
    const took = await cluster.until("another leader", () => cluster.leader() !== undefined);
    expect(took).toBeLessThanOrEqual(2 * 2 * 20 * 50);
    const fresh = await cluster.elected();
    taken(fresh.node.propose([addition("after")]));
    await cluster.agreed();
    expect(fresh.machine.content.done).toEqual(expect.arrayContaining([...acknowledged, "after"]));
    cluster.start(old.id);
    await cluster.agreed();
    expect(cluster.member(old.id).machine.content.done).toEqual(fresh.machine.content.done);
  });

  it("commit everything once over links that are slow and lose a fifth of all messages", async () => {
    const clock = start([1, 2, 3], { seed: 7 });
    cluster.network.setDelay(3);
    cluster.network.setLoss(0.2);
    for (let n = 0; n < 100; n += 1) {
      await cluster.until(`addition ${n} is taken`, () => cluster.leader()?.node.propose([addition(`${n}`)]).ok === true);
      await clock.advance(20);
    }
    cluster.network.setLoss(0);
    await cluster.agreed();
    const { done } = (await cluster.elected()).machine.content;
    expect(new Set(done).size).toBe(done.length);
    for (const { machine } of cluster.members.values()) expect(machine.content.done).toEqual(done);
  });

  it("start again from their disks with the same state", async () => {
    start([1, 2, 3]);
    const leader = await cluster.elected();
    for (const member of cluster.members.values()) member.machine.flushEvery = 1000;
    for (let n = 0; n < 50; n += 1) taken(leader.node.propose([addition(`${n}`)]));
    await cluster.agreed();
    const before = leader.machine.content;
    for (const id of [1, 2, 3]) await cluster.kill(id);
    for (const id of [1, 2, 3]) expect(cluster.start(id).machine.content.total).toBeLessThan(50);
    const fresh = await cluster.elected();
    await cluster.agreed();
    expect(fresh.machine.content.done).toEqual(before.done);
  });
});

describe("durability", () => {
  it("an ack never leaves before the entry it names is durable", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const [follower, other] = [...cluster.members.values()].filter(({ id }) => id !== leader.id);
    if (follower === undefined || other === undefined) throw new Error("three members have two followers");
    await cluster.kill(other.id);
    follower.log.held = true;
    const durable = follower.log.view.last().index;
    const acks: number[] = [];
    cluster.network.tap(({ from, m }) => {
      if (from !== follower.id || m.t !== "appResp" || m.reject !== null) return;
      expect(m.index).toBeLessThanOrEqual(follower.log.view.last().index);
      acks.push(m.index);
    });
    const index = taken(leader.node.propose([addition("held")]));
    await clock.advance(200);
    expect(Math.max(0, ...acks)).toBeLessThanOrEqual(durable);
    expect(leader.machine.content.total).toBe(0);
    expect(follower.machine.content.total).toBe(0);
    follower.log.release();
    await cluster.until("it commits", () => leader.machine.content.total === 1);
    expect(Math.max(...acks)).toBe(index);
  });

  it("a leader whose own disk is slow lets its followers commit, and applies only what it holds itself", async () => {
    const clock = start([1, 2, 3], { driver: { stallMs: 60_000 } });
    const leader = await cluster.elected();
    await cluster.agreed();
    leader.log.held = true;
    const index = taken(leader.node.propose([addition("ahead of the disk")]));
    await clock.advance(300);
    expect(leader.node.status().hard.commit).toBe(index);
    expect(leader.machine.content.total).toBe(0);
    const follower = cluster.member((leader.id % 3) + 1);
    expect(follower.machine.content.total).toBe(1);
    leader.log.release();
    await cluster.agreed();
    expect(leader.machine.content.total).toBe(1);
  });

  it("a failed write ends the member: it sends, applies and answers nothing any more", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    leader.log.failure = new Error("no space left on device");
    const read = leader.node.readBarrier(60_000).catch((e: unknown) => e);
    expect(leader.node.propose([addition("lost")]).ok).toBe(true);
    await clock.advance(0);
    expect(leader.fatal?.message).toBe("no space left on device");
    const after: Envelope[] = [];
    cluster.network.tap((envelope) => {
      if (envelope.from === leader.id) after.push(envelope);
    });
    await clock.advance(5000);
    expect(after).toEqual([]);
    expect(leader.log.groupSizes.length).toBeGreaterThan(0);
    const writes = leader.log.groupSizes.length;
    expect(leader.node.propose([addition("more")])).toEqual({ ok: false, why: "noLeader", leader: 0 });
    expect(leader.log.groupSizes.length).toBe(writes);
    expect(await read).toMatchObject({ name: "ReadFailed", why: "stopped" });
    cluster.members.delete(leader.id);
    await leader.transport.close();
    expect((await cluster.elected()).id).not.toBe(leader.id);
  });

  it("a log that does not hold what it took ends the member", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    leader.log.append = () => Promise.resolve();
    taken(leader.node.propose([addition("forgotten")]));
    await clock.advance(0);
    expect(leader.fatal).toBeInstanceOf(Broken);
    expect(leader.fatal?.message).toMatch(/^A8/);
  });

  it("a state machine that throws ends the member", async () => {
    const clock = start([1]);
    const only = await cluster.elected();
    only.machine.onAddition = () => {
      throw new Broken("the rows do not add up");
    };
    taken(only.node.propose([addition("a")]));
    await clock.advance(10);
    expect(only.fatal?.message).toBe("the rows do not add up");
  });

  it("a write that was overtaken by another leader's entries acknowledges none of them (ABA)", async () => {
    const clock = start([1, 2, 3], { driver: { stallMs: 60_000 } });
    const old = await cluster.elected();
    await cluster.agreed();
    const [second, third] = [...cluster.members.values()].filter(({ id }) => id !== old.id);
    if (second === undefined || third === undefined) throw new Error("three members have two followers");
    // The old leader's own write of its entry hangs while it is cut off; meanwhile the others go on at the same index.
    old.log.held = true;
    cluster.network.partition([old.id], [second.id, third.id]);
    const stale = old.node.propose([addition("stale")]);
    if (!stale.ok) throw new Error("the old leader takes it");
    await cluster.until("another leader", () => cluster.leader()?.id !== old.id);
    const fresh = await cluster.elected();
    taken(fresh.node.propose([addition("fresh")]));
    await cluster.until("the majority goes on", () => fresh.machine.content.total === 1);
    cluster.network.heal();
    const acks: number[] = [];
    cluster.network.tap(({ from, term, m }) => {
      if (from === old.id && m.t === "appResp" && m.reject === null && term === fresh.machine.role.term) acks.push(m.index);
    });
    await clock.advance(1000);
    expect(acks.filter((index) => index >= stale.first)).toEqual([]);
    old.log.release();
    await cluster.agreed();
    expect(old.machine.dropped).toEqual([{ first: stale.first, last: stale.last, term: stale.term }]);
    for (const { machine } of cluster.members.values()) expect(machine.content.done).toEqual(["fresh"]);
  });
});

describe("time", () => {
  it("a paused cluster wakes without an election: time that nobody saw fires no timer", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const { term } = leader.node.status().hard;
    for (let pause = 0; pause < 5; pause += 1) {
      clock.skip(10_000);
      await clock.advance(100);
    }
    expect(cluster.leader()?.id).toBe(leader.id);
    for (const { node } of cluster.members.values()) {
      expect(node.status().hard.term).toBe(term);
      expect(node.stats.lateTicks).toBeGreaterThanOrEqual(5);
    }
  });

  it("a paused follower wakes without asking for votes, though it has not heard its leader for long", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const follower = cluster.member((leader.id % 3) + 1);
    const asked: number[] = [];
    cluster.network.tap(({ from, m }) => {
      if (m.t === "preVote" || m.t === "vote") asked.push(from);
    });
    for (const pause of [300, 2000, 10_000]) {
      follower.clock.pause();
      taken(leader.node.propose([addition(`${pause}`)]));
      await clock.advance(pause);
      follower.clock.resume();
      await clock.advance(500);
    }
    await cluster.agreed();
    expect(asked).toEqual([]);
    expect(follower.machine.content.total).toBe(3);
    expect(follower.node.stats.lateTicks).toBe(3);
  });

  it("a paused leader that wakes hears of its successor before it does anything", async () => {
    const clock = start([1, 2, 3]);
    const old = await cluster.elected();
    await cluster.agreed();
    const read = old.node.readBarrier(60_000);
    old.clock.pause();
    await cluster.until("the others elect", () => cluster.leader()?.id !== old.id);
    const fresh = await cluster.elected();
    taken(fresh.node.propose([addition("while it slept")]));
    await clock.advance(100);
    old.clock.resume();
    expect(old.node.propose([addition("too late")])).toEqual({ ok: false, why: "notLeader", leader: fresh.id });
    await cluster.agreed();
    expect(cluster.leader()?.id).toBe(fresh.id);
    expect(old.machine.dropped).toEqual([]);
    expect(old.machine.content.done).toEqual(["while it slept"]);
    expect(await read).toBe(old.machine.content.applied.index);
  });

  it("a pause in the middle of a write is not taken for a disk that hangs", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    leader.log.writeMs = 100;
    taken(leader.node.propose([addition("a")]));
    await clock.advance(10);
    clock.skip(5000);
    await clock.advance(10);
    expect(leader.node.propose([addition("b")])).toMatchObject({ ok: true });
    await cluster.agreed();
  });

  it("stop leaves no timer, and nobody waiting", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    cluster.network.partition([leader.id]);
    const waiting = [
      leader.node.readBarrier(60_000),
      leader.node.change([{ op: "addLearner", id: 9 }], new Uint8Array(0), 60_000),
      cluster.member((leader.id % 3) + 1).node.readBarrier(60_000),
    ].map((promise) => promise.catch((e: unknown) => e));
    await clock.advance(10);
    const nodes = [...cluster.members.values()].map(({ node }) => node);
    await Promise.all(nodes.map((node) => node.stop()));
    await clock.advance(0);
    for (const outcome of await Promise.all(waiting)) expect(outcome).toMatchObject({ why: "stopped" });
    expect(clock.waiting()).toBe(0);
    expect(leader.node.propose([addition("a")])).toMatchObject({ ok: false });
    await expect(leader.node.readBarrier(1)).rejects.toMatchObject({ why: "stopped" });
    await expect(leader.node.change([{ op: "remove", id: 2 }], new Uint8Array(0), 1)).rejects.toMatchObject({ why: "stopped" });
    await expect(leader.node.transfer(2, 1)).rejects.toMatchObject({ why: "stopped" });
    await leader.node.stop();
  });

  it("refuses proposals while the state machine is too far behind, and takes them again when it caught up", async () => {
    const clock = start([1], { driver: { applyLagMax: 300 } });
    const only = await cluster.elected();
    // Each addition costs a millisecond, so a turn of 2 ms gets through one slice only.
    const refusals: string[] = [];
    only.machine.onAddition = (name) => {
      clock.skip(1);
      if (!name.endsWith("99")) return;
      const outcome = only.node.propose([addition("while behind")]);
      if (!outcome.ok) refusals.push(outcome.why);
    };
    for (let n = 0; n < 2000; n += 1) taken(only.node.propose([addition(`${n}`)]));
    await cluster.until("everything is applied", () => only.machine.content.done.includes("1999"));
    expect(new Set(refusals)).toEqual(new Set(["uncommittedQuota"]));
    expect(refusals.length).toBeGreaterThanOrEqual(10);
    expect(only.node.propose([addition("in time again")]).ok).toBe(true);
    await cluster.agreed();
  });
});

describe("a disk that hangs", () => {
  it("costs a leader its leadership, and it leads again only after clean writes", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    leader.log.held = true;
    taken(leader.node.propose([addition("a")]));
    await clock.advance(400);
    expect(leader.node.propose([addition("b")])).toMatchObject({ ok: false, why: "stalled" });
    await cluster.until("somebody else leads", () => cluster.leader()?.id !== leader.id);
    const next = await cluster.elected();
    taken(next.node.propose([addition("c")]));
    await cluster.until("it commits", () => next.machine.content.done.includes("c"));
    leader.log.release();
    await cluster.agreed();
    await cluster.kill(next.id);
    // Only two are left, and the healed one may win or vote: either way the cluster goes on.
    await cluster.until("a leader of the two", () => cluster.leader()?.node.propose([addition("d")]).ok === true);
    await cluster.agreed();
  });

  it("does not stay sick for ever on an idle single member: it tries the disk by itself", async () => {
    const clock = start([1]);
    const only = await cluster.elected();
    await cluster.agreed();
    only.log.held = true;
    taken(only.node.propose([addition("a")]));
    await clock.advance(2000);
    expect(only.machine.role.state).toBe("follower");
    only.log.release();
    await cluster.until("it leads again", () => only.machine.role.state === "leader");
    await cluster.agreed();
    expect(only.machine.content.done).toEqual(["a"]);
  });
});
