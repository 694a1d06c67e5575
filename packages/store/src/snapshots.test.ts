import { appendFile, copyFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Membership, SnapMeta, SnapshotStore, SnapshotWriter } from "@aether/raft/types";
import { SnapshotDamaged } from "./snapshot-file.ts";
import { openFileFolder } from "./file-folder.ts";
import { openSnapshots, openSnapshotsOn, readRows } from "./snapshots.ts";

const members: Membership = { voters: [1, 2, 3], outgoing: [], learners: [4], learnersNext: [], autoLeave: false };
const at = (index: number): { term: number; index: number } => ({ term: 2 ** 34, index });

/** Rows of many sizes, together several chunks; they name the snapshot they are of. */
async function* rowsOf(index: number): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(0);
  for (let row = 0; row < 40; row++) yield Buffer.alloc(row * row * 50, `row ${row} at ${index}; `);
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(400_000);
  throw new Error("the state went away");
}

async function collect(rows: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const row of rows) parts.push(Buffer.from(`[${row.length}]`), row);
  return Buffer.concat(parts);
}

const take = (store: SnapshotStore, index: number): Promise<SnapMeta> =>
  store.create(at(index), members, `d1g35t-${index}`, rowsOf(index));

/** The rows of {@link rowsOf} as another member packs them. */
async function* packedOtherwise(index: number): AsyncGenerator<Uint8Array> {
  yield* rowsOf(index);
  yield Buffer.from("one more");
}

/** Carries bytes of `meta` from one store to a writer, up to `until`. */
async function stream(from: SnapshotStore, meta: SnapMeta, to: SnapshotWriter, until = meta.bytes): Promise<void> {
  while (to.offset < until) {
    const { bytes, crc } = await from.read(meta, to.offset, Math.min(40_000, until - to.offset));
    await to.write(to.offset, bytes, crc);
  }
}

describe("the snapshot store", () => {
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

  it("gives back the rows it was given, also after a restart", async () => {
    const store = await openSnapshots(dir);
    expect(store.latest()).toBeNull();
    const meta = await take(store, 2 ** 40);
    for (const held of [store, await openSnapshots(dir)]) {
      expect(held.latest()).toEqual(meta);
      expect(held.has(meta)).toBe(true);
      expect(await collect(readRows(held, meta))).toEqual(await collect(rowsOf(2 ** 40)));
    }
    expect((await readFile(join(dir, (await readdir(dir))[0] as string))).length).toBe(meta.bytes);
  });

  it("holds a snapshot of nothing", async () => {
    const store = await openSnapshots(dir);
    const meta = await store.create(at(1), members, "", (async function* () {})());
    expect(await collect(readRows(await openSnapshots(dir), meta))).toHaveLength(0);
  });

  it("keeps the newest two and says so of the rest", async () => {
    const store = await openSnapshots(dir);
    const metas = [await take(store, 10), await take(store, 20), await take(store, 30)];
    expect(metas.map((meta) => store.has(meta))).toEqual([false, true, true]);
    expect(await readdir(dir)).toHaveLength(2);
    expect(store.latest()).toEqual(metas[2]);
    await expect(store.read(metas[0] as SnapMeta, 0, 10)).rejects.toThrow(/not held here/);
  });

  it("keeps one whose rows are being read until they are read, however many come after it", async () => {
    const store = await openSnapshots(dir);
    const slow = await store.create(at(10), members, "d1g35t-10", rowsOf(10));
    const parts: Buffer[] = [];
    for await (const row of readRows(store, slow)) {
      if (parts.length === 2) for (const index of [20, 30, 40]) await take(store, index);
      parts.push(Buffer.from(`[${row.length}]`), Buffer.from(row));
    }
    expect(Buffer.concat(parts)).toEqual(await collect(rowsOf(10)));
    expect(store.latest()?.id.index).toBe(40);
    // A process that dies over it finds it again.
    expect((await openSnapshots(dir)).has(slow)).toBe(true);
    await take(store, 50);
    expect(store.has(slow)).toBe(false);
    expect(await readdir(dir)).toHaveLength(2);
  });

  it("leaves nothing of a snapshot whose rows failed, and can make the next", async () => {
    const store = await openSnapshots(dir);
    await expect(store.create(at(1), members, "d", failing())).rejects.toThrow("the state went away");
    expect(await readdir(dir)).toEqual([]);
    expect(store.latest()).toBeNull();
    await take(store, 2);
  });

  it("makes one at a time", async () => {
    const store = await openSnapshots(dir);
    const first = take(store, 1);
    await expect(take(store, 2)).rejects.toThrow(/being made/);
    await first;
  });

  it("sets a damaged file aside for good: no power cut brings it back under its name (simulator, interrupted-restore-comes-back)", async () => {
    const store = await openSnapshots(dir);
    const meta = await take(store, 10);
    const [name = ""] = await readdir(dir);
    await truncate(join(dir, name), meta.bytes - 1);
    const done: string[] = [];
    const files = await openFileFolder(dir);
    const found = await openSnapshotsOn({
      ...files,
      rename: (from, to) => files.rename(from, to).then(() => void done.push(`${from} is now ${to}`)),
      sync: () => files.sync().then(() => void done.push("names are durable")),
    });
    expect(found.latest()).toBeNull();
    expect(done).toEqual([`${name} is now ${name}.damaged`, "names are durable"]);
  });

  it("sets a damaged file aside, whichever byte it is, and goes back to the one before", async () => {
    const store = await openSnapshots(dir);
    const before = await store.create(at(10), members, "older", (async function* () {})());
    const meta = await store.create(
      at(20),
      members,
      "small",
      (async function* () {
        yield Buffer.from("one");
        yield Buffer.from("two");
      })(),
    );
    const name = (await readdir(dir)).find((file) => file.startsWith("20-")) as string;
    const whole = await readFile(join(dir, name));
    expect(whole).toHaveLength(meta.bytes);
    for (let byte = 0; byte < whole.length; byte++) {
      const altered = Buffer.from(whole);
      altered[byte] = (altered[byte] as number) ^ 0x20;
      await writeFile(join(dir, name), altered);
      expect((await openSnapshots(dir)).latest(), `byte ${byte}`).toEqual(before);
    }
    for (const length of [0, 5, 60, whole.length - 1]) {
      await writeFile(join(dir, name), whole.subarray(0, length));
      expect((await openSnapshots(dir)).latest(), `cut at ${length}`).toEqual(before);
    }
    await writeFile(join(dir, name), Buffer.concat([whole, Buffer.from("x")]));
    expect((await openSnapshots(dir)).latest()).toEqual(before);
    await writeFile(join(dir, name), whole);
    expect((await openSnapshots(dir)).latest()).toEqual(meta);
    expect((await readdir(dir)).filter((file) => file.endsWith(".damaged"))).toHaveLength(1);
  });

  it("reads one again when it is asked to, and sets it aside when it is not what it was", async () => {
    const store = await openSnapshots(dir);
    const [older, newer] = [await take(store, 10), await take(store, 20)];
    expect([await store.check(older), await store.check(newer)]).toEqual([true, true]);
    const [name = ""] = (await readdir(dir)).filter((file) => file.startsWith("20-"));
    const bytes = await readFile(join(dir, name));
    bytes[100_000] = (bytes[100_000] ?? 0) ^ 4;
    await writeFile(join(dir, name), bytes);
    expect([await store.check(older), await store.check(newer)]).toEqual([true, false]);
    expect(store.latest()).toEqual(older);
    expect([store.has(newer), await store.check(newer)]).toEqual([false, false]);
    expect(await readdir(dir)).toContain(`${name}.damaged`);
    const again = await take(store, 20);
    expect(await store.check(again)).toBe(true);
    expect(await collect(readRows(await openSnapshots(dir), again))).toEqual(await collect(rowsOf(20)));
  });

  it("does not take a file for another snapshot because of its name", async () => {
    const store = await openSnapshots(dir);
    const meta = await take(store, 10);
    const name = (await readdir(dir))[0] as string;
    await copyFile(join(dir, name), join(dir, name.replace("10-", "99-")));
    expect((await openSnapshots(dir)).latest()).toEqual(meta);
  });

  it("keeps one that was received until it is restored, for its turn may come after newer ones (simulator seed 7064)", async () => {
    const [from, to] = [await openSnapshots(dir), await openSnapshots(other)];
    const received = await take(from, 10);
    const writer = await to.begin(received);
    await stream(from, received, writer);
    await writer.commit();
    for (const index of [20, 30, 40]) await take(to, index);
    expect(await collect(readRows(to, received))).toEqual(await collect(rowsOf(10)));
    await take(to, 50);
    expect(to.has(received)).toBe(false);
    expect(await readdir(other)).toHaveLength(2);
  });

  it("is one snapshot however it is packed: another of the same state does not take its file from who reads it", async () => {
    const [from, to] = [await openSnapshots(dir), await openSnapshots(other)];
    const made = await take(to, 10);
    const sent = await from.create(at(10), members, made.digest, packedOtherwise(10));
    expect(sent.bytes).toBeGreaterThan(made.bytes);
    const writer = await to.begin(sent);
    await stream(from, sent, writer);
    const parts: Buffer[] = [];
    for await (const row of readRows(to, made)) {
      if (parts.length === 2) await writer.commit();
      parts.push(Buffer.from(`[${row.length}]`), Buffer.from(row));
    }
    const rows = await collect(rowsOf(10));
    expect(Buffer.concat(parts)).toEqual(rows);
    for (const held of [to, await openSnapshots(other)]) {
      expect([held.has(made), held.has(sent), held.latest()]).toEqual([true, true, made]);
      expect(await collect(readRows(held, sent))).toEqual(rows);
    }
    expect(await readdir(other)).toHaveLength(1);
  });

  it("makes one that was received meanwhile no second time", async () => {
    const [from, to] = [await openSnapshots(dir), await openSnapshots(other)];
    const sent = await from.create(at(10), members, "d1g35t-10", packedOtherwise(10));
    const writer = await to.begin(sent);
    await stream(from, sent, writer);
    await writer.commit();
    expect(await take(to, 10)).toEqual(sent);
    expect(await collect(readRows(to, sent))).toEqual(await collect(packedOtherwise(10)));
    expect(await readdir(other)).toHaveLength(1);
  });

  it("gives a name to one file, also when it is made and received at once: a second one would have it before that is durable", async () => {
    const from = await openSnapshots(dir);
    const sent = await from.create(at(10), members, "d1g35t-10", packedOtherwise(10));
    const files = await openFileFolder(other);
    const named: string[] = [];
    const to = await openSnapshotsOn({
      ...files,
      rename: (old, name) => files.rename(old, name).then(() => void named.push(name)),
    });
    const writer = await to.begin(sent);
    await stream(from, sent, writer);
    const [made] = await Promise.all([take(to, 10), writer.commit()]);
    expect(named).toHaveLength(1);
    expect([to.has(made), to.has(sent)]).toEqual([true, true]);
    expect(await readdir(other)).toEqual(named);
  });

  it("begins a receive when what the one before was doing is done: both use one file", async () => {
    const from = await openSnapshots(dir);
    const [one, two] = [await take(from, 10), await take(from, 20)];
    for (const during of ["write", "commit"] as const) {
      const folder = await mkdtemp(join(tmpdir(), "aether-snap-"));
      const files = await openFileFolder(folder);
      let release = (): void => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      let slow = false;
      const held = async (): Promise<void> => (slow ? gate : undefined);
      const to = await openSnapshotsOn({
        ...files,
        rename: async (old, name) => held().then(() => files.rename(old, name)),
        open: async (name, how) => {
          const file = await files.open(name, how);
          return { ...file, write: (bytes) => (how === "append" ? held() : Promise.resolve()).then(() => file.write(bytes)) };
        },
      });
      const first = await to.begin(one);
      await stream(from, one, first, during === "write" ? 40_000 : one.bytes);
      const { bytes, crc } = await from.read(one, 40_000, 10_000);
      slow = true;
      const doing = (during === "write" ? first.write(40_000, bytes, crc) : first.commit()).catch((error: Error) => error);
      const next = to.begin(two);
      await new Promise((resolve) => setImmediate(resolve));
      slow = false;
      release();
      const second = await next;
      expect(second.offset).toBe(0);
      await stream(from, two, second);
      await second.commit();
      expect(await doing).toBeUndefined();
      expect([to.has(one), to.has(two)]).toEqual([during === "commit", true]);
      expect(await collect(readRows(to, two))).toEqual(await collect(rowsOf(20)));
      await rm(folder, { recursive: true });
    }
  });

  it("receives what another store sends", async () => {
    const [from, to] = [await openSnapshots(dir), await openSnapshots(other)];
    const meta = await take(from, 10);
    const writer = await to.begin(meta);
    await stream(from, meta, writer);
    expect(to.has(meta)).toBe(false);
    await writer.commit();
    expect(to.latest()).toEqual(meta);
    expect(await collect(readRows(await openSnapshots(other), meta))).toEqual(await collect(rowsOf(10)));
    expect(await readdir(other)).toEqual(await readdir(dir));
  });

  it("resumes a receive after a restart, whoever decoded the meta", async () => {
    const from = await openSnapshots(dir);
    const meta = await take(from, 10);
    const first = await (await openSnapshots(other)).begin(meta);
    await stream(from, meta, first, 150_000);
    const decoded: SnapMeta = {
      bytes: meta.bytes,
      digest: meta.digest,
      membership: { ...members },
      id: { index: 10, term: meta.id.term },
    };
    const to = await openSnapshots(other);
    const writer = await to.begin(decoded);
    expect(writer.offset).toBe(150_000);
    await stream(from, meta, writer);
    await writer.commit();
    expect(await collect(readRows(to, meta))).toEqual(await collect(rowsOf(10)));
  });

  it("keeps one partial: another snapshot starts anew, and the old writer is told", async () => {
    const [from, to] = [await openSnapshots(dir), await openSnapshots(other)];
    const [one, two] = [await take(from, 10), await take(from, 20)];
    const old = await to.begin(one);
    await stream(from, one, old, 100_000);
    const writer = await to.begin(two);
    expect(writer.offset).toBe(0);
    await expect(stream(from, one, old, 120_000)).rejects.toThrow(/taken over/);
    await expect(old.commit()).rejects.toThrow(/taken over/);
    await stream(from, two, writer);
    await writer.commit();
    expect(to.latest()).toEqual(two);
    expect((await to.begin(one)).offset).toBe(0);
  });

  it("refuses bytes out of place, altered, or past the end, and an early end", async () => {
    const [from, to] = [await openSnapshots(dir), await openSnapshots(other)];
    const meta = await take(from, 10);
    const writer = await to.begin(meta);
    const { bytes, crc } = await from.read(meta, 0, 1000);
    await writer.write(0, bytes, crc);
    await expect(writer.write(0, bytes, crc)).rejects.toThrow(/do not follow/);
    await expect(writer.write(1000, bytes, crc ^ 1)).rejects.toThrow(/altered on the way/);
    await expect(writer.write(1000, new Uint8Array(meta.bytes), 0)).rejects.toThrow(/has \d+ bytes/);
    await expect(writer.commit()).rejects.toThrow(/so far/);
    await stream(from, meta, writer);
    await writer.commit();
    expect(to.has(meta)).toBe(true);
  });

  it("does not take what arrived whole but wrong, and forgets it", async () => {
    const [from, to] = [await openSnapshots(dir), await openSnapshots(other)];
    const meta = await take(from, 10);
    for (const claimed of [
      { ...meta, digest: "another" },
      { ...meta, id: at(11) },
      { ...meta, membership: { ...members, voters: [1] } },
    ]) {
      const writer = await to.begin(claimed);
      await stream(from, meta, writer);
      await expect(writer.commit()).rejects.toThrow(SnapshotDamaged);
      expect(to.latest()).toBeNull();
      expect((await to.begin(claimed)).offset).toBe(0);
    }
    const name = (await readdir(dir))[0] as string;
    await truncate(join(dir, name), meta.bytes - 10);
    await appendFile(join(dir, name), Buffer.alloc(10));
    const writer = await to.begin(meta);
    await stream(from, meta, writer);
    await expect(writer.commit()).rejects.toThrow(SnapshotDamaged);
  });

  it("stops reading at a chunk that is altered", async () => {
    const store = await openSnapshots(dir);
    const meta = await take(store, 10);
    const path = join(dir, (await readdir(dir))[0] as string);
    const bytes = await readFile(path);
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] as number) ^ 1;
    await writeFile(path, bytes);
    await expect(collect(readRows(store, meta))).rejects.toThrow(SnapshotDamaged);
  });
});
