import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LogStorage, SnapMeta, SnapshotStore } from "@aether/raft/types";
import { openSnapshots, readRows } from "../snapshots.ts";
import { openGuardFile } from "./guard-file.ts";
import type { FolderIdentity } from "./keys.ts";
import { openLevel } from "./level.ts";
import { formatLog, openLog } from "./open.ts";
import type { KeyValue } from "./ports.ts";
import { startLog } from "./start.ts";
import { batchOf, entriesAfter, hardState, shown } from "./testing/batches.ts";

const identity: FolderIdentity = { clusterId: "0123456789abcdef0123456789abcdef", nodeId: 2 };
const at = { term: 5, index: 300 };
const members = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

async function* stateRows(): AsyncGenerator<Uint8Array> {
  for (let row = 0; row < 50; row++) yield Buffer.alloc(3000, `row ${row} `);
}

async function countRows(store: SnapshotStore, meta: SnapMeta): Promise<number> {
  let count = 0;
  for await (const row of readRows(store, meta)) count += row.length > 0 ? 1 : 0;
  return count;
}

describe("a snapshot that is received and installed", () => {
  let base = "";
  let dir = "";
  let leader: SnapshotStore;
  let meta: SnapMeta;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), "aether-install-"));
    dir = join(base, "member");
    leader = await openSnapshots(join(base, "leader"));
    meta = await leader.create(at, members, "abcdef0123456789abcdef", stateRows());
    await formatLog(dir, identity, [1, 2, 3]);
  });
  afterEach(() => rm(base, { recursive: true }));

  /** What a member finds that starts on a copy of the disk as it is now. */
  async function afterCrash(name: string): Promise<{ log: ReturnType<typeof shown>; snap: number; usable: boolean }> {
    const copy = join(base, `crashed ${name}`);
    await cp(dir, copy, { recursive: true });
    const { verdict, storage } = await openLog(copy, identity);
    expect([name, verdict.v]).toEqual([name, "clean"]);
    const { boot } = verdict as Extract<typeof verdict, { v: "clean" }>;
    const log = shown(storage as LogStorage);
    await storage?.close();
    const snapshots = await openSnapshots(join(copy, "snap"));
    const usable = boot.snap.id.index === 0 || (snapshots.has(boot.snap) && (await countRows(snapshots, boot.snap)) === 50);
    return { log, snap: boot.snap.id.index, usable };
  }

  it("is wholly there or not at all, wherever a crash falls", async () => {
    const snapshots = await openSnapshots(join(dir, "snap"));
    const crashes: string[] = [];
    let storage: LogStorage | undefined;
    let before: ReturnType<typeof shown> | undefined;
    const crash = async (step: string, installed: boolean): Promise<void> => {
      crashes.push(step);
      const found = await afterCrash(step);
      const log = installed ? { first: 301, last: at, entries: [] } : before;
      expect([step, found]).toEqual([step, { log, snap: installed ? 300 : 0, usable: true }]);
    };
    // The log's own database, with a crash looked at just before and just after its one write.
    const real = await openLevel(join(dir, "log"), { create: false });
    let watch = false;
    const watched: KeyValue = {
      ...real,
      batch: async (ops, options) => {
        if (watch) await crash("before the batch", false);
        await real.batch(ops, options);
        if (watch) await crash("after the batch", true);
      },
    };
    ({ storage } = await startLog({ keyValue: watched, guard: await openGuardFile(join(dir, "guard")) }, identity));
    const log = storage as LogStorage;
    const prev = log.view.last();
    await log.append([batchOf({ prev, entries: entriesAfter(prev, Array<number>(40).fill(2)), hard: hardState(2, 1, 20) })]);
    before = shown(log);

    const writer = await snapshots.begin(meta);
    await crash("nothing received", false);
    while (writer.offset < meta.bytes) {
      const { bytes, crc } = await leader.read(meta, writer.offset, 60_000);
      await writer.write(writer.offset, bytes, crc);
      await crash(`received ${writer.offset}`, false);
    }
    await writer.commit();
    await crash("received and committed", false);
    watch = true;
    await log.append([batchOf({ snap: meta, hard: hardState(5, 0, 300) })]);
    watch = false;
    await crash("installed", true);
    expect(crashes.length).toBeGreaterThan(6);
    await log.append([batchOf({ prev: at, entries: entriesAfter(at, [5, 5]), hard: hardState(5, 0, 301) })]);
    await log.close();
    expect(await readdir(join(dir, "snap"))).toHaveLength(1);
    const again = await openLog(dir, identity);
    expect(again.verdict).toMatchObject({
      v: "clean",
      boot: { snap: meta, last: { term: 5, index: 302 }, hard: hardState(5, 0, 301) },
    });
    await again.storage?.close();
  });
});
