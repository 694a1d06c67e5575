import { beforeAll, describe, expect, it } from "vitest";
import type { LogStorage, OpenVerdict } from "@aether/raft/types";
import { blockKey, floorKey, formatKey, hardKey, snapKey } from "./keys.ts";
import { startLog } from "./start.ts";
import { batchOf, entriesAfter, hardState, shown } from "./testing/batches.ts";
import { MemoryDisk } from "./testing/memory-disk.ts";
import { freshDisk, handClock, identity, open, snapAt } from "./testing/started.ts";

const hex = (key: Buffer): string => key.toString("hex");
const verdictOn = async (disk: MemoryDisk): Promise<OpenVerdict> =>
  (await startLog(disk.ports, identity, { clock: handClock() })).verdict;

/** Entries 101..112 in blocks at 101, 105 and 109 after a snapshot at 100, compacted up to 102. */
async function threeBlocks(): Promise<MemoryDisk> {
  const disk = await freshDisk([1, 2, 3]);
  const log = await open(disk);
  await log.append([batchOf({ snap: snapAt({ term: 4, index: 100 }), hard: hardState(4, 0, 100) })]);
  for (const term of [4, 5, 6]) {
    const prev = log.view.last();
    const entries = entriesAfter(prev, [term, term, term, term]);
    await log.append([batchOf({ prev, entries, hard: hardState(term, 2, prev.index) })]);
  }
  await log.compact(102);
  await log.close();
  return disk;
}

describe("a log of three blocks", () => {
  let whole: MemoryDisk;
  let entries: string[] = [];
  beforeAll(async () => {
    whole = await threeBlocks();
    entries = shown(await open(whole.copy())).entries;
  });

  it("is clean as written", async () => {
    expect(entries).toHaveLength(10);
    expect(await verdictOn(whole.copy())).toMatchObject({
      v: "clean",
      boot: {
        hard: hardState(6, 2, 108),
        last: { term: 6, index: 112 },
        snap: { id: { term: 4, index: 100 }, digest: "state-100" },
      },
    });
  });

  it("with any byte of any value flipped is lost, and says which part", async () => {
    let flips = 0;
    for (const [key, value] of whole.values) {
      for (let byte = 0; byte < value.length; byte++) {
        const disk = whole.copy();
        const altered = new Uint8Array(value);
        altered[byte] = (altered[byte] as number) ^ (1 << (byte % 8));
        disk.values.set(key, altered);
        expect([key, byte, await verdictOn(disk)]).toMatchObject([key, byte, { v: "lost", why: "crc", floor: 112 }]);
        flips++;
      }
    }
    expect(flips).toBeGreaterThan(500);
  });

  it("with any byte of any key flipped is lost or foreign, never read as another log", async () => {
    for (const [key, value] of whole.values) {
      for (let byte = 0; byte < key.length / 2; byte++) {
        const disk = whole.copy();
        const altered = Buffer.from(key, "hex");
        altered[byte] = (altered[byte] as number) ^ 0x04;
        disk.values.delete(key);
        disk.values.set(hex(altered), value);
        expect([key, byte, (await verdictOn(disk)).v]).toEqual([key, byte, "lost"]);
      }
    }
  });

  const gone: Record<string, { readonly keys: readonly Buffer[]; readonly why: string; readonly detail: RegExp }> = {
    "the first block": { keys: [blockKey(101)], why: "hole", detail: /entries 103 to 104 are gone/ },
    "the middle block": { keys: [blockKey(105)], why: "hole", detail: /entries 105 to 108 are gone/ },
    "the last block": { keys: [blockKey(109)], why: "hole", detail: /entries 109 to 112 are gone from the end/ },
    "all blocks": { keys: [blockKey(101), blockKey(105), blockKey(109)], why: "hole", detail: /entries 103 to 112 are gone/ },
    "the hard state": { keys: [hardKey], why: "hardState", detail: /hard state is gone/ },
    "the compaction point": { keys: [floorKey], why: "hole", detail: /compaction point is gone/ },
    "the snapshot record": { keys: [snapKey], why: "hole", detail: /snapshot record is gone/ },
    "the format record": { keys: [formatKey], why: "hole", detail: /format record is gone/ },
  };
  for (const [name, { keys, why, detail }] of Object.entries(gone)) {
    it(`without ${name} is lost`, async () => {
      const disk = whole.copy();
      for (const key of keys) expect(disk.values.delete(hex(key))).toBe(true);
      expect(await verdictOn(disk)).toEqual({ v: "lost", why, floor: 112, detail: expect.stringMatching(detail) });
    });
  }

  it("that came back empty is lost, and not a new log", async () => {
    const disk = whole.copy();
    disk.values.clear();
    expect(await verdictOn(disk)).toMatchObject({
      v: "lost",
      why: "unreadable",
      floor: 112,
      detail: expect.stringContaining("empty"),
    });
  });

  it("with a record that came back in an older version is lost", async () => {
    const journal = whole.journal;
    for (const [key, why] of [
      [hardKey, "hardState"],
      [floorKey, "hole"],
      [snapKey, "hardState"],
    ] as const) {
      const older = journal
        .flatMap((step) => (step.on === "batch" ? step.ops : []))
        .flatMap((op) => (op.type === "put" && hex(Buffer.from(op.key)) === hex(key) ? [op.value] : []));
      const disk = whole.copy();
      disk.values.set(hex(key), older[0] as Uint8Array);
      expect([hex(key), await verdictOn(disk)]).toMatchObject([hex(key), { v: "lost", why, floor: 112 }]);
    }
  });

  it("with a block of another history in place of its own is lost", async () => {
    const other = await freshDisk([1, 2, 3]);
    const log = await open(other);
    await log.append([batchOf({ snap: snapAt({ term: 4, index: 100 }), hard: hardState(4, 0, 100) })]);
    for (const term of [4, 5, 6]) {
      const prev = log.view.last();
      await log.append([
        batchOf({ prev, entries: entriesAfter(prev, [term, term, term, term], 13), hard: hardState(term, 2, prev.index) }),
      ]);
    }
    await log.close();
    for (const first of [101, 105, 109]) {
      const disk = whole.copy();
      disk.values.set(hex(blockKey(first)), other.values.get(hex(blockKey(first))) as Uint8Array);
      expect([first, await verdictOn(disk)]).toMatchObject([first, { v: "lost", why: "chain" }]);
    }
    // The whole database of the other history, consistent in itself: only the guard knows better.
    const disk = whole.copy();
    disk.values.clear();
    for (const [key, value] of other.values) disk.values.set(key, value);
    expect(await verdictOn(disk)).toMatchObject({ v: "lost", why: "chain", detail: expect.stringContaining("guard") });
  });

  it("whose block below the floor is altered has lost nothing", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    for (let i = 0; i < 3; i++) {
      const prev = log.view.last();
      await log.append([batchOf({ prev, entries: entriesAfter(prev, [1, 1]), hard: hardState(1) })]);
    }
    const old = disk.values.get(hex(blockKey(1))) as Uint8Array;
    await log.compact(2);
    old[60] = (old[60] as number) ^ 1;
    disk.values.set(hex(blockKey(1)), old);
    const again = await open(disk.copy());
    expect(again.view.first()).toBe(3);
    expect(shown(again).entries).toHaveLength(4);
  });

  it("that is compacted to its end has lost nothing by an altered block; one that was not, has", async () => {
    const disk = await freshDisk();
    const log = await open(disk);
    await log.append([
      batchOf({ prev: { term: 0, index: 0 }, entries: entriesAfter({ term: 0, index: 0 }, [1, 1]), hard: hardState(1) }),
    ]);
    const old = new Uint8Array(disk.values.get(hex(blockKey(1))) as Uint8Array);
    old[60] = (old[60] as number) ^ 1;
    for (const [upTo, expected] of [
      [1, { v: "lost", why: "crc" }],
      [2, { v: "clean" }],
    ] as const) {
      await log.compact(upTo);
      const altered = disk.copy();
      altered.values.set(hex(blockKey(1)), old);
      expect(await verdictOn(altered)).toMatchObject(expected);
    }
  });

  it("keeps its guard's word when one of its two slots is torn, and is lost without any", async () => {
    const newest = whole.journal.findLast((step) => step.on === "guard") as Extract<
      (typeof whole.journal)[number],
      { on: "guard" }
    >;
    const disk = whole.copy();
    disk.slots[newest.slot] = new Uint8Array(512).fill(0xee);
    expect((await verdictOn(disk)).v).toBe("clean");
    disk.slots[0] = new Uint8Array(512);
    disk.slots[1] = new Uint8Array(512);
    expect(await verdictOn(disk)).toMatchObject({ v: "lost", why: "unreadable", detail: expect.stringContaining("guard") });
  });

  it("that an engine fails to read is lost, not an exception", async () => {
    const disk = whole.copy();
    const failing = {
      ...disk.keyValue,
      pages: () => {
        throw new Error("Corruption: bad block type");
      },
    };
    const { verdict, storage } = await startLog({ keyValue: failing, guard: disk.guard }, identity);
    expect(verdict).toMatchObject({ v: "lost", why: "unreadable", detail: expect.stringContaining("bad block type") });
    expect(storage).toBeUndefined();
  });

  it("of a newer format is foreign", async () => {
    const { seal } = await import("./bytes.ts");
    const disk = whole.copy();
    disk.values.set(hex(formatKey), seal(Buffer.from(JSON.stringify({ format: 2, ...identity }))));
    expect(await verdictOn(disk)).toMatchObject({ v: "foreign", why: expect.stringContaining("format 2") });
  });
});

describe("the hard state in the log", () => {
  it("is measured against the guard's promise", async () => {
    const disk = await freshDisk([1, 2, 3]);
    const log = await open(disk);
    const last = { term: 1, index: 1 };
    await log.append([batchOf({ hard: hardState(3, 2, 1), last })]);
    const voted = disk.copy();
    await log.append([batchOf({ hard: hardState(4, 0, 1), last })]);
    await log.append([batchOf({ hard: hardState(4, 3, 1), last })]);
    const mixed = disk.copy();
    mixed.values.set(hex(hardKey), voted.values.get(hex(hardKey)) as Uint8Array);
    expect(await verdictOn(mixed)).toMatchObject({
      v: "lost",
      why: "hardState",
      detail: expect.stringContaining("term 4 with a vote for 3"),
    });
    const { storage } = await startLog(disk.ports, identity);
    expect((storage as LogStorage).view.last()).toEqual(last);
  });
});
