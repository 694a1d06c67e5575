import { describe, expect, it } from "vitest";
import { Broken } from "@aether/raft/errors";
import type { AppendBatch, EntryId, LogStorage } from "@aether/raft/types";
import { LogFailed } from "./errors.ts";
import { blockOf, noSnapshot } from "./keys.ts";
import { startLog } from "./start.ts";
import { deletesPerWrite } from "./storage.ts";
import { batchOf, entriesAfter, hardState, shown } from "./testing/batches.ts";
import { MemoryDisk } from "./testing/memory-disk.ts";
import { freshDisk, handClock, identity, open, settled, snapAt, zero } from "./testing/started.ts";

const guardWrites = (disk: MemoryDisk): number => disk.journal.filter(({ on }) => on === "guard").length;
const lastOn = (disk: MemoryDisk): string[] => disk.journal.slice(-2).map(({ on }) => on);

describe("the log", () => {
  it("begins with the entry that adds the first voters, committed", async () => {
    const disk = await freshDisk([3, 1, 2]);
    const { verdict, storage } = await startLog(disk.ports, identity);
    expect(verdict).toMatchObject({
      v: "clean",
      boot: { hard: hardState(1, 0, 1), last: { term: 1, index: 1 }, snap: noSnapshot },
    });
    expect(storage?.view.read(1, 2, 1000)).toMatchObject([{ index: 1, term: 1, kind: 1 }]);
  });

  it("gives entries back from memory and, once they are old, from disk", async () => {
    const disk = await freshDisk();
    const log = await open(disk, { cacheBytes: 200 });
    for (let index = 0; index < 40; index++) {
      const prev = log.view.last();
      await log.append([batchOf({ prev, entries: entriesAfter(prev, [1 + Math.floor(index / 10)]), hard: hardState(9) })]);
    }
    expect(shown(log).entries.map((text) => text.split(" ")[0])).toEqual(
      Array.from({ length: 40 }, (_, i) => `${i + 1}@${1 + Math.floor(i / 10)}/0`),
    );
    expect(log.view.read(5, 41, 30)).toHaveLength(2);
    expect(log.view.read(5, 41, 1)).toHaveLength(1);
    expect(log.view.term(41)).toBe("beyond");
  });

  it("keeps its own copy of the bytes it was given", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    const entries = entriesAfter(zero, [1]);
    await log.append([batchOf({ prev: zero, entries, hard: hardState(1) })]);
    for (const { data } of entries) data.fill(0);
    expect(shown(log).entries).toEqual(["1@1/0 1:1 1:1 1:1 "]);
  });

  it("writes many batches of a group as one block with one sync", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    let prev = zero;
    const group: AppendBatch[] = [];
    for (let i = 0; i < 50; i++) {
      const entries = entriesAfter(prev, [1]);
      group.push(batchOf({ prev, entries, hard: hardState(1, 2) }));
      prev = { term: 1, index: i + 1 };
    }
    const before = log.stats();
    await log.append(group);
    const blocks = [...disk.values.keys()].filter((key) => blockOf(Buffer.from(key, "hex")) !== undefined);
    expect(blocks).toHaveLength(1);
    expect(log.stats().syncs - before.syncs).toBe(1);
    expect(log.stats().bytes).toBe((disk.values.get(blocks[0] as string) as Uint8Array).length);
  });

  it("splits what is larger than a block", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1, 1, 1, 1, 1], 100_000), hard: hardState(1) })]);
    const keys = [...disk.values.keys()].map((key) => blockOf(Buffer.from(key, "hex"))).filter((first) => first !== undefined);
    expect(keys).toEqual([1, 3, 5]);
  });

  it("works at indexes and terms near 2^40", async () => {
    const disk = await freshDisk();
    const id = { term: 2 ** 40, index: 2 ** 40 };
    const log = await open(disk);
    await log.append([batchOf({ snap: snapAt(id), hard: hardState(2 ** 40, 1, 2 ** 40) })]);
    await log.append([
      batchOf({ prev: id, entries: entriesAfter(id, [2 ** 40, 2 ** 40 + 1]), hard: hardState(2 ** 40 + 1, 0, id.index + 1) }),
    ]);
    const again = await open(disk.copy());
    expect(again.view.first()).toBe(2 ** 40 + 1);
    expect(again.view.last()).toEqual({ term: 2 ** 40 + 1, index: 2 ** 40 + 2 });
    expect(again.view.term(2 ** 40)).toBe(2 ** 40);
  });

  it("writes nothing for a commit index alone, and remembers it when closed", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1, 1]), hard: hardState(1) })]);
    const steps = disk.journal.length;
    await log.append([batchOf({ hard: hardState(1, 0, 2), last: { term: 1, index: 2 }, sync: false })]);
    expect(disk.journal).toHaveLength(steps);
    await log.close();
    const { verdict } = await startLog(disk.ports, identity);
    expect(verdict).toMatchObject({ v: "clean", boot: { hard: { commit: 2 } } });
  });

  it("writes what is to be synced even if nothing changed, so that a disk can be judged by it", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    const steps = disk.journal.length;
    await log.append([batchOf({ hard: hardState(0), last: zero })]);
    expect(disk.journal.slice(steps)).toMatchObject([{ on: "batch", sync: true }]);
  });

  it("keeps its newest entries in memory, however often others were taken back", async () => {
    const disk = await freshDisk();
    const log = await open(disk, { cacheBytes: 5000 });
    for (let round = 0; round < 60; round++) {
      const { index } = log.view.last();
      const prev = { term: log.view.term(index - (index % 2)) as number, index: index - (index % 2) };
      await log.append([
        batchOf({ prev, entries: entriesAfter(prev, [round + 1, round + 1, round + 1], 100), hard: hardState(round + 1) }),
      ]);
    }
    disk.values.clear();
    const { index } = log.view.last();
    expect(log.view.read(index - 20, index + 1, 10_000)).toHaveLength(21);
    expect(() => log.view.read(1, 2, 100)).toThrow(/it is gone/);
  });

  it("refuses calls once it is closed", async () => {
    const log = await open(await freshDisk());
    await log.close();
    await expect(log.append([])).rejects.toThrow(LogFailed);
  });
});

describe("compaction", () => {
  it("moves the first index, keeps the term before it, and survives a restart", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    for (let i = 0; i < 6; i++) {
      const prev = log.view.last();
      await log.append([
        batchOf({ prev, entries: entriesAfter(prev, [i + 1, i + 1, i + 1]), hard: hardState(i + 1, 0, prev.index) }),
      ]);
    }
    await log.compact(8);
    for (const held of [log, await open(disk.copy())]) {
      expect(held.view.first()).toBe(9);
      expect(held.view.term(8)).toBe(3);
      expect(held.view.term(7)).toBe("compacted");
      expect(held.view.read(8, 19, 1000)).toBe("compacted");
      expect(shown(held).entries).toHaveLength(10);
    }
  });

  it("is for good once it is done, whatever a crash brings back of the blocks", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    // each append is a block of its own, and more of them than one write deletes
    for (let i = 0; i < deletesPerWrite + 20; i++) {
      const prev = log.view.last();
      await log.append([batchOf({ prev, entries: entriesAfter(prev, [1]), hard: hardState(1) })]);
      if (i === 5) await log.compact(i);
    }
    await log.compact(deletesPerWrite + 15);
    const unsynced = disk.journal.flatMap((step, at) => (step.on === "batch" && !step.sync ? [at] : []));
    expect(unsynced.length).toBeGreaterThan(0);
    for (let lost = 0; lost < 1 << unsynced.length; lost++) {
      const gone = new Set(unsynced.filter((_, bit) => (lost & (1 << bit)) !== 0));
      const crashed = MemoryDisk.replay(disk.journal, disk.journal.length, (_, at) => gone.has(at));
      const again = await open(crashed);
      expect(shown(again)).toEqual(shown(log));
      expect(again.view.first()).toBe(log.view.first());
    }
  });

  it("says that what is gone was committed, though no write told the disk so", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1, 1, 1]), hard: hardState(1) })]);
    await log.append([batchOf({ hard: hardState(1, 0, 3), last: log.view.last(), sync: false })]);
    await log.compact(2);
    const { verdict } = await startLog(disk.ports, identity);
    expect(verdict).toMatchObject({ v: "clean", boot: { hard: { commit: 2 } } });
  });

  it("clears at open what a lost compaction left below the floor", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    for (let i = 0; i < 4; i++) {
      const prev = log.view.last();
      await log.append([batchOf({ prev, entries: entriesAfter(prev, [1, 1]), hard: hardState(1) })]);
    }
    const before = disk.copy();
    await log.compact(4);
    for (const [key, value] of before.values) if (!disk.values.has(key)) disk.values.set(key, value);
    const again = await open(disk);
    expect(again.view.first()).toBe(5);
    expect([...disk.values.keys()].filter((key) => key.startsWith("01"))).toHaveLength(2);
  });
});

describe("the guard", () => {
  it("is durable before a vote or a term is released", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    for (const hard of [hardState(1, 2), hardState(2), hardState(2, 3)]) {
      await log.append([batchOf({ hard, last: zero })]);
      expect(lastOn(disk)).toEqual(["batch", "guard"]);
    }
    // A disk whose database forgot the vote is caught by it.
    const forgetful = MemoryDisk.replay(
      disk.journal,
      disk.journal.length,
      (step, at) => step.on === "batch" && at > disk.journal.length - 4,
    );
    expect((await startLog(forgetful.ports, identity)).verdict).toMatchObject({ v: "lost", why: "hardState" });
  });

  it("follows a growing log beside it: by time, or by entries", async () => {
    const disk = await freshDisk();
    const clock = handClock();
    const log = await open(disk, { clock });
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1]), hard: hardState(1) })]);
    const written = guardWrites(disk);
    const grow = async (count: number): Promise<void> => {
      const prev = log.view.last();
      await log.append([batchOf({ prev, entries: entriesAfter(prev, Array<number>(count).fill(1)) })]);
      await settled();
    };
    await grow(10);
    expect(guardWrites(disk)).toBe(written);
    clock.pass(100);
    await settled();
    expect(guardWrites(disk)).toBe(written + 1);
    await grow(1024);
    expect(guardWrites(disk)).toBe(written + 2);
    await grow(1);
    clock.pass(100);
    await settled();
    clock.pass(1000);
    await settled();
    expect(guardWrites(disk)).toBe(written + 3);
  });

  it("stands on the new end again when entries were taken back or a snapshot came", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1, 1, 1, 1]), hard: hardState(1) })]);
    const prev = { term: 1, index: 2 };
    await log.append([batchOf({ prev, entries: entriesAfter(prev, [1]), hard: hardState(1, 0, 1) })]);
    expect(lastOn(disk)).toEqual(["batch", "guard"]);
    await log.append([batchOf({ snap: snapAt({ term: 1, index: 9 }), hard: hardState(1, 0, 9) })]);
    expect(lastOn(disk)).toEqual(["batch", "guard"]);
    const emptied = disk.copy();
    emptied.values.clear();
    expect((await startLog(emptied.ports, identity)).verdict).toMatchObject({ v: "lost", floor: 9 });
  });

  it("catches an older copy of the database", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1, 1]), hard: hardState(1) })]);
    const older = new Map(disk.values);
    const prev = log.view.last();
    await log.append([batchOf({ prev, entries: entriesAfter(prev, [1, 1]) })]);
    await log.close();
    disk.values.clear();
    for (const [key, value] of older) disk.values.set(key, value);
    const { verdict, storage } = await startLog(disk.ports, identity);
    expect(verdict).toMatchObject({ v: "lost", why: "belowFloor", floor: 4 });
    expect(storage).toBeUndefined();
  });

  it("is not alone: an older copy of both is caught by what others recorded", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1, 1]), hard: hardState(1) })]);
    await log.close();
    expect((await startLog(disk.copy().ports, identity, { floor: 2 })).verdict.v).toBe("clean");
    expect((await startLog(disk.copy().ports, identity, { floor: 3 })).verdict).toMatchObject({
      v: "lost",
      why: "belowFloor",
      floor: 3,
    });
  });
});

describe("a disk that refuses", () => {
  const writes: Record<string, (log: LogStorage) => Promise<void>> = {
    entries: (log) => log.append([batchOf({ prev: log.view.last(), entries: entriesAfter(log.view.last(), [1]) })]),
    vote: (log) => log.append([batchOf({ hard: hardState(7, 1), last: log.view.last() })]),
    compaction: (log) => log.compact(1),
  };
  for (const [name, write] of Object.entries(writes)) {
    for (const on of ["batch", "guard"] as const) {
      if (on === "guard" && name !== "vote") continue;
      it(`a ${on} write (${name}) makes the log dead for good`, async () => {
        const disk = await freshDisk();
        const log = await open(disk);
        await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1, 1]), hard: hardState(1) })]);
        disk.refuse = (step) => step.on === on;
        await expect(write(log)).rejects.toThrow(LogFailed);
        disk.refuse = null;
        const steps = disk.journal.length;
        for (const again of Object.values(writes)) await expect(again(log)).rejects.toThrow(/no space left on device/);
        expect(disk.journal).toHaveLength(steps);
        await log.close();
        expect((await startLog(disk.ports, identity)).verdict.v).toBe("clean");
      });
    }
  }

  it("is not asked again for what it refused once: what became of the first try nobody knows", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    let asked = 0;
    disk.refuse = ({ on }) => on === "batch" && (asked += 1) === 1;
    const batch = batchOf({ prev: zero, entries: entriesAfter(zero, [1]), hard: hardState(1) });
    await expect(log.append([batch])).rejects.toThrow(LogFailed);
    expect(asked).toBe(1);
  });

  it("a guard write at open lets nothing start", async () => {
    const disk = await freshDisk();
    disk.refuse = (step) => step.on === "guard";
    await expect(startLog(disk.ports, identity)).rejects.toThrow(/no space left/);
  });

  it("also when the guard fails on the side", async () => {
    const disk = await freshDisk();
    const clock = handClock();
    const log = await open(disk, { clock });
    await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [1]), hard: hardState(1) })]);
    disk.refuse = (step) => step.on === "guard";
    await log.append([batchOf({ prev: log.view.last(), entries: entriesAfter(log.view.last(), [1]) })]);
    clock.pass(100);
    await settled();
    await expect(log.append([])).rejects.toThrow(LogFailed);
  });

  it("a block that reads back as another block is fatal, though it is whole", async () => {
    const [disk, other] = [await freshDisk(), await freshDisk()];
    const [log, stranger] = [await open(disk, { cacheBytes: 1 }), await open(other)];
    for (let i = 0; i < 3; i++) {
      const prev = log.view.last();
      await log.append([batchOf({ prev, entries: entriesAfter(prev, [1]), hard: hardState(1) })]);
      await stranger.append([batchOf({ prev, entries: entriesAfter(prev, [1], 13), hard: hardState(1) })]);
    }
    for (const [key, value] of other.values) disk.values.set(key, value);
    expect(() => log.view.read(2, 3, 1000)).toThrow(/another block/);
    await expect(log.append([])).rejects.toThrow(LogFailed);
  });

  it("a block that reads back altered is fatal", async () => {
    const disk = await freshDisk();
    const log = await open(disk, { cacheBytes: 1 });
    for (let i = 0; i < 3; i++) {
      const prev = log.view.last();
      await log.append([batchOf({ prev, entries: entriesAfter(prev, [1]), hard: hardState(1) })]);
    }
    const key = [...disk.values.keys()].find((name) => name.startsWith("01")) as string;
    const value = disk.values.get(key) as Uint8Array;
    value[value.length - 1] = (value.at(-1) as number) ^ 1;
    expect(() => log.view.read(1, 2, 1000)).toThrow(/entries 1 to 1.*altered/);
    await expect(log.append([])).rejects.toThrow(LogFailed);
  });
});

describe("what does not fit the log", () => {
  const wrong: Record<string, (last: EntryId) => AppendBatch> = {
    "a term that falls": () => batchOf({ hard: hardState(1, 0, 0) }),
    "a second vote in one term": () => batchOf({ hard: hardState(3, 2, 1) }),
    "a commit index that falls": () => batchOf({ hard: hardState(3, 1, 0) }),
    "a commit index past the end": () => batchOf({ hard: hardState(3, 1, 9) }),
    "entries after a hole": (last) =>
      batchOf({ prev: { ...last, index: last.index + 1 }, entries: entriesAfter({ ...last, index: last.index + 1 }, [3]) }),
    "entries after another entry": (last) => batchOf({ prev: { index: last.index, term: 2 }, entries: entriesAfter(last, [3]) }),
    "entries of a term not yet reached": (last) => batchOf({ prev: last, entries: entriesAfter(last, [4]) }),
    "an end that is not the end": (last) =>
      batchOf({ prev: last, entries: entriesAfter(last, [3]), last: { term: 3, index: 99 } }),
  };
  for (const [name, make] of Object.entries(wrong)) {
    it(`${name} is a broken invariant, and nothing is written`, async () => {
      const disk = await freshDisk();
      const log = await open(disk);
      await log.append([batchOf({ prev: zero, entries: entriesAfter(zero, [3, 3]), hard: hardState(3, 1, 1) })]);
      const steps = disk.journal.length;
      const failure = await log.append([make(log.view.last())]).catch((error: Error) => error);
      expect(failure).toBeInstanceOf(LogFailed);
      expect((failure as Error).cause).toBeInstanceOf(Broken);
      expect(disk.journal).toHaveLength(steps);
    });
  }
});
