import { afterEach, describe, expect, it } from "vitest";
import { ReadFailed } from "../errors.ts";
import { makeManualClock, type ManualClock } from "./manual-clock.ts";
import { ReadBarriers } from "./read-barriers.ts";
import { Cluster, type ClusterOptions, seeded, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";

describe("read barriers of a cluster", () => {
  let cluster: Cluster;

  afterEach(async () => {
    await cluster.stop();
  });

  function start(ids: readonly number[], options: Omit<ClusterOptions, "clock"> = {}): ManualClock {
    const clock = makeManualClock();
    cluster = new Cluster(ids, { clock, ...options });
    return clock;
  }

  it("show everything that was acknowledged before, on every member", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    cluster.network.setDelay(5);
    const index = taken(leader.node.propose([addition("a")]));
    await cluster.until("it is acknowledged", () => leader.machine.content.total === 1);
    const seen = [...cluster.members.values()].map(async ({ node, machine }) => {
      const at = await node.readBarrier(1000);
      return { late: at >= index, total: machine.content.total };
    });
    await clock.advance(100);
    expect(await Promise.all(seen)).toEqual([1, 2, 3].map(() => ({ late: true, total: 1 })));
  });

  it("a leader cut off from its quorum answers no reads, and the new one answers them all", async () => {
    const clock = start([1, 2, 3]);
    const old = await cluster.elected();
    await cluster.agreed();
    cluster.network.partition(
      [old.id],
      [1, 2, 3].filter((id) => id !== old.id),
    );
    const cutOff = old.node.readBarrier(3000).catch((e: unknown) => e);
    await cluster.until("the others elect", () => cluster.leader()?.id !== old.id);
    const fresh = await cluster.elected();
    taken(fresh.node.propose([addition("unseen by the old leader")]));
    let read = 0;
    fresh.node
      .readBarrier(1000)
      .then((index) => (read = index))
      .catch(() => undefined);
    await clock.advance(4000);
    expect(read).toBeGreaterThan(0);
    const failed = await cutOff;
    expect(failed).toBeInstanceOf(ReadFailed);
    expect(["deadline", "noLeader", "roleChanged"]).toContain((failed as ReadFailed).why);
  });

  it("a read that fails with its leader is asked again while its deadline lasts", async () => {
    const clock = start([1, 2, 3]);
    const old = await cluster.elected();
    await cluster.agreed();
    const follower = cluster.member((old.id % 3) + 1);
    cluster.network.partition(
      [old.id],
      [1, 2, 3].filter((id) => id !== old.id),
    );
    let index = 0;
    follower.node
      .readBarrier(30_000)
      .then((at) => (index = at))
      .catch(() => undefined);
    await clock.advance(400);
    expect(index).toBe(0);
    await cluster.until("the follower hears of the next leader", () => ![0, old.id].includes(follower.machine.role.leader));
    // At once, not only when the next retry is due.
    await clock.advance(50);
    expect(index).toBeGreaterThan(0);
    expect(follower.machine.content.applied.index).toBeGreaterThanOrEqual(index);
  });

  it("ask their leader under keys that no earlier life of the member has used: an answer may come late", async () => {
    const clock = start([1, 2, 3]);
    const leader = await cluster.elected();
    await cluster.agreed();
    const follower = (leader.id % 3) + 1;
    const keys: number[] = [];
    cluster.network.tap(({ from, m }) => {
      if (from === follower && m.t === "readIndex") keys.push(m.key);
    });
    for (let life = 0; life < 3; life += 1) {
      const read = cluster.member(follower).node.readBarrier(5_000);
      await clock.advance(500);
      await read;
      await cluster.kill(follower);
      cluster.start(follower);
      await cluster.agreed();
    }
    expect(keys.length).toBeGreaterThanOrEqual(3);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("never go back in time, whatever the network does (counter workload over random partitions)", async () => {
    for (const seed of [1, 2, 3]) {
      const clock = start([1, 2, 3, 4, 5], { seed });
      const chance = seeded(seed * 1000);
      const acknowledged: string[] = [];
      await cluster.elected();
      for (const member of cluster.members.values()) {
        member.machine.onAddition = (name) => {
          if (member.machine.role.state === "leader") acknowledged.push(name);
        };
      }
      /** What a read on `id` did not show though it was acknowledged before the call; or why it failed. */
      const read = async (id: number): Promise<string[] | ReadFailed["why"]> => {
        const { node, machine } = cluster.member(id);
        const before = acknowledged.length;
        try {
          await node.readBarrier(1500);
        } catch (e) {
          if (e instanceof ReadFailed) return e.why;
          throw e;
        }
        const shown = new Set(machine.content.done);
        return acknowledged.slice(0, before).filter((name) => !shown.has(name));
      };
      const reads: Promise<string[] | string>[] = [];
      for (let step = 0; step < 600; step += 1) {
        if (step % 60 === 0) shuffle(chance, step % 120 === 0);
        for (const { node } of cluster.members.values()) node.propose([addition(`${seed}.${step}`)]);
        reads.push(read(1 + Math.floor(chance() * 5)));
        await clock.advance(25);
      }
      cluster.network.heal();
      await clock.advance(5000);
      await cluster.agreed();
      const outcomes = await Promise.all(reads);
      const failed = outcomes.filter((outcome) => typeof outcome === "string");
      expect(outcomes.filter((outcome) => typeof outcome !== "string" && outcome.length > 0)).toEqual([]);
      expect(outcomes.length - failed.length).toBeGreaterThan(200);
      expect(failed.length).toBeGreaterThan(0);
      await cluster.stop();
    }
  });

  /** Another delay, and the five either whole or in two random groups. */
  function shuffle(chance: () => number, split: boolean): void {
    cluster.network.setDelay(Math.floor(chance() * 20));
    cluster.network.heal();
    if (!split) return;
    const groups: [number[], number[]] = [[], []];
    for (const id of [1, 2, 3, 4, 5]) groups[chance() < 0.5 ? 0 : 1].push(id);
    cluster.network.partition(...groups);
  }
});

describe("read barriers", () => {
  const asked: number[] = [];
  const setUp = (
    answer: () => "taken" | "readQuota" | "noLeader" = () => "taken",
  ): { clock: ManualClock; reads: ReadBarriers } => {
    const clock = makeManualClock();
    asked.length = 0;
    const reads = new ReadBarriers(clock, 100, (key) => {
      asked.push(key);
      const why = answer();
      return why === "taken" ? undefined : { ok: false, why, leader: 0 };
    });
    return { clock, reads };
  };

  it("share one question for all callers of a turn", async () => {
    const { reads } = setUp();
    const waiting = [reads.wait(1000), reads.wait(1000), reads.wait(1000)];
    reads.flush();
    reads.flush();
    expect(asked).toEqual([101]);
    reads.answered(101, 7, 5);
    reads.appliedTo(6);
    let done = false;
    waiting[0]?.then(() => (done = true)).catch(() => undefined);
    await Promise.resolve();
    expect(done).toBe(false);
    reads.appliedTo(7);
    expect(await Promise.all(waiting)).toEqual([7, 7, 7]);
  });

  it("are asked again under a new key when no answer comes, and take whichever answer comes first", async () => {
    const { clock, reads } = setUp();
    const waiting = reads.wait(10_000);
    reads.flush();
    for (let tick = 0; tick < 24; tick += 1) {
      await clock.advance(50);
      reads.tick();
    }
    expect(asked).toEqual([101, 102, 103]);
    reads.answered(101, 3, 3);
    expect(await waiting).toBe(3);
    reads.answered(102, 9, 9);
  });

  it("ask anew as soon as a leader is known when the one that was asked is gone", async () => {
    const { reads } = setUp();
    const waiting = reads.wait(10_000);
    reads.flush();
    reads.failed(101);
    reads.answered(101, 1, 1);
    reads.flush();
    expect(asked).toEqual([101]);
    reads.leaderKnown();
    reads.flush();
    expect(asked).toEqual([101, 102]);
    reads.answered(102, 4, 4);
    expect(await waiting).toBe(4);
  });

  it("wait for a leader and say why when none came in time", async () => {
    const { clock, reads } = setUp(() => "noLeader");
    const waiting = reads.wait(1200).catch((e: unknown) => e);
    reads.flush();
    for (let tick = 0; tick < 30; tick += 1) {
      await clock.advance(50);
      reads.tick();
      reads.flush();
    }
    expect(asked).toEqual([101, 102, 103]);
    expect(await waiting).toMatchObject({ why: "noLeader" });
  });

  it("refuse more callers than may wait", async () => {
    const { reads } = setUp();
    const waiting: Promise<unknown>[] = [];
    for (let n = 0; n < 65_536; n += 1) waiting.push(reads.wait(1000).catch(() => undefined));
    await expect(reads.wait(1000)).rejects.toMatchObject({ why: "readQuota" });
    reads.flush();
    reads.answered(101, 1, 1);
    await Promise.all(waiting);
    reads.wait(1000).catch(() => undefined);
    reads.stop();
  });
});
