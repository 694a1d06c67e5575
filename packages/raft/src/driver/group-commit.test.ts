import { afterEach, describe, expect, it } from "vitest";
import { makeMemoryLog } from "../memory-log.ts";
import { type AppendBatch, type Envelope, Kind } from "../types.ts";
import { GroupCommit } from "./group-commit.ts";
import { makeManualClock } from "./manual-clock.ts";
import { Cluster, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";
import { GatedLog } from "./testing/gated-log.ts";

const hard = { term: 1, vote: 1, commit: 0 };

/** Entry `index` of term 1 with `bytes` of payload. */
function entryBatch(index: number, bytes = 1): AppendBatch {
  const entry = { term: 1, index, kind: Kind.normal, data: new Uint8Array(bytes) };
  const prev = index === 1 ? { term: 0, index: 0 } : { term: 1, index: index - 1 };
  const slice = { leaderTerm: 1, prev, entries: [entry] };
  return { token: index, term: 1, hard, slice, snap: null, last: { term: 1, index }, sync: true, thenSend: [] };
}

function answerBatch(token: number, index: number): AppendBatch {
  return { token, term: 1, hard: null, slice: null, snap: null, last: { term: 1, index }, sync: false, thenSend: [] };
}

function setUp(stallMs = 250): {
  clock: ReturnType<typeof makeManualClock>;
  log: GatedLog;
  writer: GroupCommit;
  told: (number | string)[];
} {
  const clock = makeManualClock();
  const log = new GatedLog(makeMemoryLog(), clock);
  const told: (number | string)[] = [];
  const writer = new GroupCommit(log, clock, stallMs, hard, {
    durable: (batches) => {
      for (const { token, last } of batches) {
        expect(log.view.last().index).toBeGreaterThanOrEqual(last.index);
        told.push(token);
      }
    },
    sick: (sick) => told.push(sick ? "sick" : "healthy"),
    failed: (e) => told.push(e.message),
  });
  return { clock, log, writer, told };
}

describe("group commit", () => {
  it("goes to the disk at once when nothing is being written, and gathers while something is", async () => {
    const { clock, log, writer, told } = setUp();
    log.writeMs = 5;
    writer.push(entryBatch(1));
    expect(log.groupSizes).toEqual([1]);
    for (let index = 2; index <= 100; index += 1) writer.push(entryBatch(index));
    await clock.advance(4);
    expect(told).toEqual([]);
    await clock.advance(10);
    expect(log.groupSizes).toEqual([1, 99]);
    expect(told).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
    expect(writer.groups).toBe(2);
  });

  it("writes nothing for a batch that only answers, yet keeps its place behind the writes before it", async () => {
    const { clock, log, writer, told } = setUp();
    writer.push(answerBatch(1, 0));
    expect(told).toEqual([1]);
    log.writeMs = 5;
    writer.push({ ...entryBatch(1), token: 2 });
    writer.push(answerBatch(3, 1));
    await clock.advance(4);
    expect(told).toEqual([1]);
    await clock.advance(1);
    expect(told).toEqual([1, 2, 3]);
    expect(log.groupSizes).toEqual([1]);
  });

  it("bounds the bytes of one write", async () => {
    const { clock, log, writer, told } = setUp();
    log.writeMs = 5;
    const mebibyte = 1024 * 1024;
    for (let index = 1; index <= 41; index += 1) writer.push(entryBatch(index, mebibyte));
    await clock.advance(100);
    expect(log.groupSizes).toEqual([1, 16, 16, 8]);
    expect(told).toHaveLength(41);
  });

  it("stops for good at the first failure: nothing is told durable, nothing written again", async () => {
    const { clock, log, writer, told } = setUp();
    log.failure = new Error("input/output error");
    writer.push(entryBatch(1));
    writer.push(entryBatch(2));
    await clock.advance(0);
    expect(told).toEqual(["input/output error"]);
    writer.push(entryBatch(3));
    await clock.advance(10);
    expect(log.groupSizes).toEqual([1]);
    expect(told).toEqual(["input/output error"]);
  });

  it("turns sick while a write hangs and healthy again after ten quick ones, made by itself if nobody writes", async () => {
    const { clock, log, writer, told } = setUp();
    log.held = true;
    writer.push(entryBatch(1));
    await clock.advance(250);
    writer.watch();
    expect(told).toEqual([]);
    await clock.advance(1);
    writer.watch();
    writer.watch();
    expect(told).toEqual(["sick"]);
    log.release();
    await clock.advance(0);
    for (let tick = 0; tick < 9; tick += 1) {
      writer.watch();
      await clock.advance(0);
    }
    expect(told).toEqual(["sick", 1]);
    writer.watch();
    await clock.advance(0);
    expect(told).toEqual(["sick", 1, "healthy"]);
    const writes = log.groupSizes.length;
    writer.watch();
    await clock.advance(0);
    expect(log.groupSizes.length).toBe(writes);
  });

  it("counts from one again when a slow write comes among the quick ones", async () => {
    const { clock, log, writer, told } = setUp();
    const write = async (index: number, ms: number): Promise<void> => {
      log.writeMs = ms;
      writer.push(entryBatch(index));
      await clock.advance(ms);
    };
    log.held = true;
    writer.push(entryBatch(1));
    await clock.advance(300);
    writer.watch();
    log.release();
    for (let index = 2; index <= 9; index += 1) await write(index, 1);
    await write(10, 400);
    for (let index = 11; index <= 19; index += 1) await write(index, 1);
    expect(told).not.toContain("healthy");
    await write(20, 1);
    expect(told).toContain("healthy");
  });
});

describe("under load", () => {
  let cluster: Cluster;

  afterEach(async () => {
    await cluster.stop();
  });

  it("one sync carries many entries: at most 20 a thousand with 256 in flight, and half a follower's messages at most", async () => {
    const clock = makeManualClock();
    cluster = new Cluster([1, 2, 3], { clock });
    const leader = await cluster.elected();
    await cluster.agreed();
    for (const { log } of cluster.members.values()) log.writeMs = 1;
    let sent = 0;
    const more = (): void => {
      if (sent < 5000) taken(leader.node.propose([addition(`${(sent += 1)}`)]));
    };
    leader.machine.onAddition = more;
    const received = new Map<number, number>();
    cluster.network.tap(({ to, m }) => {
      if (m.t === "app") received.set(to, (received.get(to) ?? 0) + 1);
    });
    const before = new Map([...cluster.members.values()].map(({ id, log }) => [id, log.stats().syncs]));
    for (let n = 0; n < 256; n += 1) more();
    await cluster.until("all are done", () => leader.machine.content.total === 5000);
    await cluster.agreed();
    for (const { id, log } of cluster.members.values()) {
      const syncs = log.stats().syncs - (before.get(id) ?? 0);
      expect(syncs / 5).toBeLessThanOrEqual(20);
      expect(syncs).toBeGreaterThan(0);
    }
  });

  it("no time passes between a proposal and its commit but the disk's and the network's: nothing in between waits for a timer", async () => {
    const clock = makeManualClock();
    cluster = new Cluster([1, 2, 3], { clock });
    const leader = await cluster.elected();
    await cluster.agreed();
    const before = clock.now();
    let asked = 0;
    const more = (): void => {
      if (asked < 100) taken(leader.node.propose([addition(`${(asked += 1)}`)]));
    };
    leader.machine.onAddition = more;
    more();
    await clock.advance(0);
    expect(leader.machine.content.total).toBe(100);
    expect(clock.now()).toBe(before);
  });

  it("a leader's own write has begun when the append of the same entry leaves", async () => {
    cluster = new Cluster([1, 2, 3], { clock: makeManualClock() });
    const leader = await cluster.elected();
    await cluster.agreed();
    const before = leader.log.groupSizes.length;
    const begun: number[] = [];
    cluster.network.tap(({ from, m }) => {
      if (from === leader.id && m.t === "app" && m.entries.length > 0) begun.push(leader.log.groupSizes.length - before);
    });
    taken(leader.node.propose([addition("a")]));
    await cluster.agreed();
    expect(begun).toEqual([1, 1]);
  });

  it("a follower with nothing else to do writes what arrives before the event loop turns, and gathers what comes meanwhile", async () => {
    const clock = makeManualClock();
    cluster = new Cluster([1, 2, 3], { clock });
    const leader = await cluster.elected();
    await cluster.agreed();
    const follower = cluster.member((leader.id % 3) + 1);
    const deliver = follower.transport.onRecv;
    const appends: (readonly Envelope[])[] = [];
    follower.transport.onRecv = (batch) => void appends.push(batch);
    for (const name of ["a", "b", "c"]) {
      taken(leader.node.propose([addition(name)]));
      await clock.advance(0);
    }
    expect(appends.length).toBe(3);
    const before = follower.log.groupSizes.length;
    for (const append of appends) deliver(append);
    expect(follower.log.groupSizes.length - before).toBe(1);
    await clock.advance(0);
    expect(follower.log.groupSizes.length - before).toBe(2);
    expect(follower.log.view.last()).toEqual(leader.log.view.last());
  });

  it("a follower answers a burst of messages with one sync", async () => {
    const clock = makeManualClock();
    cluster = new Cluster([1, 2, 3], { clock });
    const leader = await cluster.elected();
    await cluster.agreed();
    const follower = cluster.member((leader.id % 3) + 1);
    follower.log.writeMs = 10;
    let messages = 0;
    cluster.network.tap(({ to, m }) => {
      if (to === follower.id && m.t === "app" && m.entries.length > 0) messages += 1;
    });
    const before = follower.log.stats().syncs;
    for (let n = 0; n < 300; n += 1) {
      taken(leader.node.propose([addition(`${n}`)]));
      await clock.advance(1);
    }
    await cluster.agreed();
    expect(messages).toBeGreaterThanOrEqual(100);
    expect(follower.log.stats().syncs - before).toBeLessThanOrEqual(messages / 2);
  });
});
