import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Membership } from "@aether/raft/types";
import { type FileFolder, openFileFolder } from "./file-folder.ts";
import { openSnapshots, openSnapshotsOn } from "./snapshots.ts";

const members: Membership = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
const mebibyte = 1024 * 1024;

/** Six mebibytes of rows. */
async function* manyRows(): AsyncGenerator<Uint8Array> {
  for (let row = 0; row < 96; row++) yield Buffer.alloc(64 * 1024, `row ${row}; `);
}

/** A folder that remembers the most bytes which a sync had to make durable at once. */
async function watched(dir: string): Promise<{ folder: FileFolder; most: () => number }> {
  const files = await openFileFolder(dir);
  const unsynced = new Map<string, number>();
  let most = 0;
  const open: FileFolder["open"] = async (name, how) => {
    const file = await files.open(name, how);
    return {
      ...file,
      write: async (bytes) => {
        await file.write(bytes);
        unsynced.set(name, (unsynced.get(name) ?? 0) + bytes.length);
      },
      sync: async () => {
        await file.sync();
        most = Math.max(most, unsynced.get(name) ?? 0);
        unsynced.set(name, 0);
      },
    };
  };
  return { folder: { ...files, open }, most: () => most };
}

describe("a large snapshot", () => {
  let dir = "";
  let other = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "aether-snap-"));
    other = await mkdtemp(join(tmpdir(), "aether-snap-"));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true });
    await rm(other, { recursive: true });
  });

  it("is synced as it grows, made or received: others' syncs would wait for all of it", async () => {
    const made = await watched(dir);
    const from = await openSnapshotsOn(made.folder);
    const meta = await from.create({ index: 10, term: 1 }, members, "d1g35t", manyRows());
    expect(meta.bytes).toBeGreaterThan(6 * mebibyte);
    expect(made.most()).toBeLessThan(2 * mebibyte);
    const received = await watched(other);
    const writer = await (await openSnapshotsOn(received.folder)).begin(meta);
    while (writer.offset < meta.bytes) {
      const { bytes, crc } = await from.read(meta, writer.offset, mebibyte / 2);
      await writer.write(writer.offset, bytes, crc);
    }
    await writer.commit();
    expect(received.most()).toBeLessThan(2 * mebibyte);
  });

  it("is made and checked with rests in between", async () => {
    const works: number[] = [];
    const pace = () => {
      const work = works.push(0) - 1;
      return { rest: () => Promise.resolve(void (works[work] = (works[work] ?? 0) + 1)) };
    };
    const from = await openSnapshotsOn(await openFileFolder(dir), pace);
    const meta = await from.create({ index: 10, term: 1 }, members, "d1g35t", manyRows());
    const to = await openSnapshotsOn(await openFileFolder(other), pace);
    const writer = await to.begin(meta);
    while (writer.offset < meta.bytes) {
      const { bytes, crc } = await from.read(meta, writer.offset, mebibyte);
      await writer.write(writer.offset, bytes, crc);
    }
    await writer.commit();
    const pieces = Math.floor(meta.bytes / (mebibyte / 4));
    expect(works).toHaveLength(2);
    for (const rests of works) expect(rests).toBeGreaterThanOrEqual(pieces);
    expect((await openSnapshots(other)).latest()).toEqual(meta);
  });
});
