import { afterEach, describe, expect, it } from "vitest";
import type { SnapMeta } from "../types.ts";
import { makeManualClock, type ManualClock } from "./manual-clock.ts";
import { Cluster, type ClusterOptions, type Member, taken } from "./testing/cluster.ts";
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

/** Adds `count` things, each `padding` bytes, and waits until the leader shows them. */
async function add(leader: Member, count: number, padding = 0): Promise<void> {
  const before = leader.machine.content.total;
  for (let n = 0; n < count; n += 1) taken(leader.node.propose([addition(`${before + n}`.padStart(padding, "0"))]));
  await cluster.until(`${count} additions`, () => leader.machine.content.total === before + count);
}

/** Cuts the leader's log right behind a new snapshot. */
async function cut(leader: Member): Promise<SnapMeta> {
  const made = await leader.node.snapshot();
  await leader.node.compact(Number.MAX_SAFE_INTEGER);
  expect(leader.log.view.first()).toBe(made.id.index + 1);
  return made;
}

/** Starts a member that needs a snapshot and ends its process while it restores one: the log is replaced, the state is not. */
async function diesWhileRestoring(id: number, clock: ManualClock): Promise<Member> {
  const member = cluster.start(id);
  const crash = Promise.withResolvers<void>();
  member.machine.restoreGate = crash.promise;
  await cluster.until("it restores", () => member.machine.works.length > 0);
  crash.reject(new Error("the process is gone"));
  await clock.advance(1);
  return member;
}

describe("snapshots", () => {
  it("bring a member up to date whose entries are compacted everywhere", async () => {
    start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 100);
    await cut(leader);
    await add(leader, 5);
    const { machine, log } = cluster.start(late);
    await cluster.agreed();
    expect(machine.restored).toBe(1);
    expect(machine.content.total).toBe(105);
    expect(machine.dropped).toEqual([]);
    expect(log.view.first()).toBeGreaterThan(100);
  });

  it("let a new learner join a cluster whose log no longer begins at 1", async () => {
    start([1]);
    const leader = await cluster.elected();
    await add(leader, 20);
    await cut(leader);
    cluster.start(2);
    let joined = false;
    leader.node
      .change([{ op: "addLearner", id: 2 }], new Uint8Array(0), 5000)
      .then(() => (joined = true))
      .catch(() => undefined);
    await cluster.until("it joined", () => joined);
    await cluster.agreed();
    expect(cluster.member(2).machine.restored).toBe(1);
    expect(cluster.member(2).node.status().membership).toMatchObject({ voters: [1], learners: [2] });
  });

  it("go on where a broken link left them", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 500, 1000);
    const made = await cut(leader);
    expect(made.bytes).toBeGreaterThan(6 * 64 * 1024);
    cluster.network.setDelay(20);
    const member = cluster.start(late);
    await cluster.until("half of it is over", () => member.snapshots.received > made.bytes / 2);
    cluster.network.partition([late]);
    await clock.advance(100);
    expect(member.snapshots.has(made)).toBe(false);
    cluster.network.heal();
    await cluster.agreed();
    expect(member.machine.restored).toBe(1);
    expect(member.snapshots.received).toBe(made.bytes);
  });

  it("keep the log that a follower will need, while and shortly after they are sent", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 500, 1000);
    const made = await cut(leader);
    cluster.network.setDelay(20);
    const member = cluster.start(late);
    await cluster.until("it is on its way", () => member.snapshots.received > 0);
    await add(leader, 50);
    await leader.node.snapshot();
    await leader.node.compact(Number.MAX_SAFE_INTEGER);
    expect(leader.log.view.first()).toBe(made.id.index + 1);
    await cluster.agreed();
    expect(member.machine.restored).toBe(1);
    await leader.node.compact(Number.MAX_SAFE_INTEGER);
    expect(leader.log.view.first()).toBe(made.id.index + 1);
    expect(leader.snapshots.created).toBe(2);
    await clock.advance(31_000);
    await leader.node.compact(Number.MAX_SAFE_INTEGER);
    expect(leader.log.view.first()).toBeGreaterThan(made.id.index + 50);
  });

  it("are made when the newest one is not good enough", async () => {
    start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 20);
    const old = await cut(leader);
    await add(leader, 20);
    leader.snapshots.latest = () => ({ ...old, id: { ...old.id, index: old.id.index - 5 } });
    const { machine } = cluster.start(late);
    await cluster.agreed();
    expect(leader.snapshots.created).toBe(2);
    expect(machine.restored).toBe(1);
  });

  it("end with the member that sends them", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 500, 1000);
    await cut(leader);
    cluster.network.setDelay(100);
    const member = cluster.start(late);
    await cluster.until("it is on its way", () => member.snapshots.received > 0);
    let stopped = false;
    leader.node
      .stop()
      .then(() => (stopped = true))
      .catch(() => undefined);
    await clock.advance(101);
    expect(stopped).toBe(true);
    expect(member.snapshots.latest()).toBeNull();
  });

  it("are neither made while one is restored nor restored while one is made", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    const { machine, node } = cluster.member(late);
    const making = Promise.withResolvers<void>();
    machine.snapshotGate = making.promise;
    const first = node.snapshot();
    cluster.network.partition(
      [late],
      [1, 2, 3].filter((id) => id !== late),
    );
    await add(leader, 50);
    await cut(leader);
    cluster.network.heal();
    await clock.advance(3000);
    expect(machine.works).toEqual(["snapshot"]);
    const restoring = Promise.withResolvers<void>();
    machine.restoreGate = restoring.promise;
    making.resolve();
    await first;
    await clock.advance(100);
    expect(machine.works).toEqual(["snapshot", "snapshot made", "restore"]);
    const second = node.snapshot();
    await clock.advance(100);
    expect(machine.works).toHaveLength(3);
    restoring.resolve();
    await cluster.agreed();
    expect((await second).id.index).toBeGreaterThan((await first).id.index);
    expect(machine.works.slice(3)).toEqual(["restored", "snapshot", "snapshot made"]);
  });

  it("are not made while that would push out one that is being sent", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 500, 1000);
    const made = await cut(leader);
    cluster.network.setDelay(20);
    const member = cluster.start(late);
    await cluster.until("it is on its way", () => member.snapshots.received > 0);
    await add(leader, 5);
    // A store keeps two: a third would drop the one on its way.
    await leader.node.snapshot();
    await clock.advance(1);
    await expect(leader.node.snapshot()).rejects.toMatchObject({ name: "SnapshotBusy" });
    await cluster.agreed();
    expect(member.snapshots.has(made)).toBe(true);
    expect((await leader.node.snapshot()).id.index).toBe(leader.machine.content.applied.index);
  });

  it("that are gone before they were sent whole cost another stream, not the leader", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 500, 1000);
    const made = await cut(leader);
    cluster.network.setDelay(20);
    const member = cluster.start(late);
    await cluster.until("it is on its way", () => member.snapshots.received > 0);
    for (let n = 0; n < 2; n += 1) {
      await add(leader, 5);
      await leader.machine.snapshot(leader.snapshots);
    }
    expect(leader.snapshots.has(made)).toBe(false);
    await clock.advance(200);
    expect(leader.fatal).toBeNull();
    await cluster.agreed();
    expect(member.machine.restored).toBe(1);
  });

  it("that were altered where they lie are refused, found out, and made anew, though nothing else is written meanwhile", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 50);
    const made = await cut(leader);
    leader.snapshots.rot(made);
    const { machine } = cluster.start(late);
    await clock.advance(2_000);
    await cluster.agreed();
    expect(machine.content.total).toBe(50);
    expect(leader.snapshots.created).toBe(2);
  });

  it("that cannot be read though they are there end the leader: its disk is not to be trusted", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 20);
    await cut(leader);
    leader.snapshots.read = () => Promise.reject(new Error("a chunk is altered"));
    cluster.start(late);
    await cluster.until("the leader ends", () => leader.fatal !== null);
    expect(leader.fatal?.message).toBe("a chunk is altered");
    await clock.advance(1);
  });

  it("are made one at a time, and cover only what is applied", async () => {
    const clock = start([1]);
    const only = await cluster.elected();
    await add(only, 3);
    const [one, other] = await Promise.all([only.node.snapshot(), only.node.snapshot()]);
    expect(other).toBe(one);
    expect(only.snapshots.created).toBe(1);
    expect(one.id.index).toBe(only.machine.content.applied.index);
    await clock.advance(1);
    expect((await only.node.snapshot()).id).toEqual(one.id);
    expect(only.snapshots.created).toBe(2);
  });

  it("go to two members at once, the third waits its turn", async () => {
    const clock = start([1, 2, 3, 4, 5, 6, 7]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = [1, 2, 3, 4, 5, 6, 7].filter((id) => id !== leader.id).slice(0, 3);
    for (const id of late) await cluster.kill(id);
    await add(leader, 200, 1000);
    await cut(leader);
    const send = leader.transport.sendSnapshot.bind(leader.transport);
    let running = 0;
    let most = 0;
    leader.transport.sendSnapshot = async (...stream) => {
      running += 1;
      most = Math.max(most, running);
      return send(...stream).finally(() => (running -= 1));
    };
    cluster.network.setDelay(20);
    for (const id of late) cluster.start(id);
    await clock.advance(20);
    await cluster.agreed();
    for (const id of late) expect(cluster.member(id).machine.restored).toBe(1);
    expect(most).toBe(2);
  });

  it("a crash between installing and restoring one is made good at the next start, before anything else", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 100);
    const made = await cut(leader);
    const crashing = cluster.start(late);
    const restoring = Promise.withResolvers<void>();
    crashing.machine.restoreGate = restoring.promise;
    await cluster.until("its log is replaced", () => crashing.log.view.first() === made.id.index + 1);
    await clock.advance(500);
    expect(crashing.machine.restored).toBe(0);
    expect(crashing.machine.content.total).toBe(0);
    restoring.reject(new Error("the process is gone"));
    await clock.advance(1);
    expect(crashing.fatal?.message).toBe("the process is gone");
    await cluster.kill(late);
    const again = cluster.start(late);
    let index = 0;
    again.node
      .readBarrier(5000)
      .then((at) => (index = at))
      .catch(() => undefined);
    await clock.advance(1);
    expect(again.machine.restored).toBe(1);
    expect(again.machine.content.total).toBe(100);
    await cluster.until("it reads", () => index > 0);
    await cluster.agreed();
  });

  it("a newer one that arrives while an older one is restored waits for it", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 30);
    const first = await cut(leader);
    const crashing = await diesWhileRestoring(late, clock);
    expect(crashing.log.view.first()).toBe(first.id.index + 1);
    await cluster.kill(late);
    // By then the log that was kept for it is let go.
    await clock.advance(31_000);
    await add(leader, 30);
    const second = await cut(leader);
    const slow = cluster.start(late);
    const restoring = Promise.withResolvers<void>();
    slow.machine.restoreGate = restoring.promise;
    await cluster.until("its log is replaced again", () => slow.log.view.first() === second.id.index + 1);
    await clock.advance(500);
    expect(slow.machine.works).toEqual(["restore"]);
    restoring.resolve();
    await cluster.agreed();
    expect(slow.machine.works).toEqual(["restore", "restored", "restore", "restored"]);
    expect(slow.machine.content.total).toBe(60);
  });

  it("a newer one that overtakes changes still to be applied lends them no membership of its own", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    const change = async (op: "addLearner" | "remove", id: number): Promise<void> => {
      const done = leader.node.change([{ op, id }], new Uint8Array(0), 5000);
      await clock.advance(200);
      await done;
    };
    await cluster.kill(late);
    await add(leader, 30);
    const first = await cut(leader);
    await diesWhileRestoring(late, clock);
    await cluster.kill(late);
    const slow = cluster.start(late);
    const restoring = Promise.withResolvers<void>();
    slow.machine.restoreGate = restoring.promise;
    await change("addLearner", 8);
    const seen = leader.node.status().last.index;
    await cluster.until("the change waits to be applied", () => slow.node.status().hard.commit >= seen);
    cluster.network.partition([1, 2, 3].filter((id) => id !== late));
    await change("remove", 8);
    await change("addLearner", 9);
    await clock.advance(31_000);
    await add(leader, 30);
    const second = await cut(leader);
    expect(second.membership.learners).toEqual([9]);
    cluster.network.heal();
    await cluster.until("its log is replaced again", () => slow.log.view.first() === second.id.index + 1);
    expect(slow.machine.works).toEqual(["restore"]);
    expect(first.id.index).toBeLessThan(seen);
    restoring.resolve();
    await cluster.until("both are restored", () => slow.machine.restored === 2);
    expect(slow.machine.memberships.map(({ learners }) => learners)).toEqual([[8]]);
    await clock.advance(500);
    expect(slow.machine.content.membership.learners).toEqual([9]);
  });

  it("are believed only from the transport that stored them, never from a message", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const follower = cluster.member((leader.id % 3) + 1);
    const { term } = leader.node.status().hard;
    const { membership, last } = leader.node.status();
    const meta: SnapMeta = { id: { term, index: last.index + 50 }, membership, digest: "00", bytes: 1 };
    follower.transport.onRecv([{ from: leader.id, to: follower.id, term, m: { t: "snapOffer", meta } }]);
    await clock.advance(100);
    expect(follower.fatal).toBeNull();
    expect(follower.node.status().last).toEqual(last);
  });

  it("what comes in while one is restored waits for it", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const late = (leader.id % 3) + 1;
    await cluster.kill(late);
    await add(leader, 50);
    const made = await cut(leader);
    const slow = cluster.start(late);
    const restoring = Promise.withResolvers<void>();
    slow.machine.restoreGate = restoring.promise;
    await cluster.until("its log is replaced", () => slow.log.view.first() === made.id.index + 1);
    await add(leader, 50);
    await clock.advance(3000);
    expect(slow.machine.content.total).toBe(0);
    // It is busy, not gone: it hears its leader and calls no election.
    expect(slow.node.status().role).toMatchObject({ state: "follower", leader: leader.id });
    restoring.resolve();
    await cluster.agreed();
    expect(slow.machine.content.total).toBe(100);
    expect(slow.machine.restored).toBe(1);
  });
});

describe("compaction", () => {
  it("never passes what the state machine has on disk, nor the newest snapshot", async () => {
    start([1]);
    const only = await cluster.elected();
    await add(only, 20);
    await only.node.compact(15);
    expect(only.log.view.first()).toBe(1);
    only.machine.flushEvery = 1000;
    const durable = only.machine.applied;
    await add(only, 20);
    const made = await only.node.snapshot();
    expect(made.id.index).toBeGreaterThan(durable);
    await only.node.compact(Number.MAX_SAFE_INTEGER);
    expect(only.log.view.first()).toBe(durable + 1);
    only.machine.flushed = only.machine.content;
    await add(only, 5);
    await only.node.compact(Number.MAX_SAFE_INTEGER);
    expect(only.log.view.first()).toBe(made.id.index + 1);
  });

  it("that the storage refuses ends the member", async () => {
    start([1]);
    const only = await cluster.elected();
    await add(only, 20);
    await only.node.snapshot();
    only.log.compact = () => Promise.reject(new Error("input/output error"));
    await expect(only.node.compact(10)).rejects.toThrow("input/output error");
    expect(only.fatal?.message).toBe("input/output error");
  });
});
