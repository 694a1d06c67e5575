import { cp, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LogStorage, OpenVerdict } from "@aether/raft/types";
import { FolderBusy } from "./errors.ts";
import { inspectFolder, isEnvironment, retireFolder } from "./folder.ts";
import { type FolderIdentity, noSnapshot } from "./keys.ts";
import { formatLog, openLog } from "./open.ts";
import { batchOf, entriesAfter, hardState, shown } from "./testing/batches.ts";

const identity: FolderIdentity = { clusterId: "0123456789abcdef0123456789abcdef", nodeId: 2 };
const stranger: FolderIdentity = { ...identity, nodeId: 7 };

async function opened(dir: string): Promise<LogStorage> {
  const { verdict, storage } = await openLog(dir, identity);
  if (storage === undefined) throw new Error(`not opened: ${JSON.stringify(verdict)}`);
  return storage;
}

/** Appends `count` entries of `bytes` bytes, `each` at a time. */
async function grow(log: LogStorage, count: number, each: number, bytes = 40, term = 1): Promise<void> {
  for (let done = 0; done < count; done += each) {
    const prev = log.view.last();
    const terms = Array<number>(Math.min(each, count - done)).fill(term);
    await log.append([batchOf({ prev, entries: entriesAfter(prev, terms, bytes), hard: hardState(term, 2, prev.index) })]);
  }
}

/** The verdict, with nothing left open. */
async function verdictOf(dir: string): Promise<OpenVerdict> {
  const { verdict, storage } = await openLog(dir, identity);
  await storage?.close();
  return verdict;
}

async function flip(path: string, byte: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[byte] = (bytes[byte] as number) ^ 0x40;
  await writeFile(path, bytes);
}

/** A verdict of lost, with something for people to read and the floor that the guard knows. */
const lost = (why: string): unknown => ({ v: "lost", why, floor: 181, detail: expect.stringMatching(/.{12}/) });

const filesOf = async (dir: string, like: RegExp): Promise<string[]> =>
  (await readdir(join(dir, "log"))).filter((name) => like.test(name)).map((name) => join(dir, "log", name));

describe("a data folder", () => {
  let dir = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "aether-log-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("is formatted once, and again only for the same member", async () => {
    expect(await inspectFolder(dir)).toEqual({ state: "unformatted" });
    expect(await formatLog(dir, identity, [1, 2, 3])).toEqual({ ok: true, created: true });
    expect(await inspectFolder(dir)).toEqual({ state: "formatted", identity });
    const log = await opened(dir);
    await grow(log, 3, 1);
    await log.close();
    expect(await formatLog(dir, identity, [1, 2, 3])).toEqual({ ok: true, created: false });
    expect(await formatLog(dir, stranger, null)).toMatchObject({ ok: false, why: expect.stringContaining("member 2") });
    expect((await verdictOf(dir)).v).toBe("clean");
  });

  it("gives back everything after a restart", async () => {
    await formatLog(dir, identity, [1, 2, 3]);
    const log = await opened(dir);
    await grow(log, 100, 7);
    await log.append(
      [
        batchOf({
          prev: { term: 1, index: 50 },
          entries: entriesAfter({ term: 1, index: 50 }, [3, 3]),
          hard: hardState(3, 0, 40),
        }),
      ].slice(1),
    );
    await log.compact(30);
    const before = shown(log);
    await log.close();
    const { verdict, storage } = await openLog(dir, identity);
    expect(verdict).toMatchObject({
      v: "clean",
      boot: { hard: { term: 1, vote: 2 }, last: { term: 1, index: 101 }, snap: noSnapshot },
    });
    expect(shown(storage as LogStorage)).toEqual(before);
    await storage?.close();
  });

  it("begins empty for a member that joins", async () => {
    await formatLog(dir, identity, null);
    expect(await verdictOf(dir)).toEqual({
      v: "clean",
      boot: { hard: hardState(0), last: { term: 0, index: 0 }, snap: noSnapshot },
    });
  });

  it("is refused to a second handle while it is open, whatever its files look like just then, and is whole afterwards", async () => {
    await formatLog(dir, identity, null);
    const log = await opened(dir);
    await expect(openLog(dir, identity)).rejects.toThrow(FolderBusy);
    const [current] = await filesOf(dir, /^CURRENT$/);
    await rename(current as string, join(dir, "CURRENT"));
    await expect(openLog(dir, identity)).rejects.toThrow(FolderBusy);
    await rename(join(dir, "CURRENT"), current as string);
    await grow(log, 2, 1);
    await log.close();
    expect(await verdictOf(dir)).toMatchObject({ v: "clean", boot: { last: { index: 2 } } });
  });

  it("can be used from a worker thread while another folder is open here", async () => {
    await formatLog(dir, identity, null);
    const log = await opened(dir);
    const other = await mkdtemp(join(tmpdir(), "aether-log-"));
    const code = `import(${JSON.stringify(join(import.meta.dirname, "open.ts"))}).then(async ({ formatLog, openLog }) => {
      const identity = ${JSON.stringify(identity)};
      await formatLog(${JSON.stringify(other)}, identity, [2]);
      const { verdict, storage } = await openLog(${JSON.stringify(other)}, identity);
      await storage.close();
      (await import("node:worker_threads")).parentPort.postMessage(verdict.v);
    });`;
    const worker = new Worker(code, { eval: true });
    const said = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    await worker.terminate();
    expect(said).toBe("clean");
    await log.close();
    await rm(other, { recursive: true });
  });

  it("opens although a power cut spoilt the database that is only its lock", async () => {
    await formatLog(dir, identity, null);
    await writeFile(join(dir, "lock", "CURRENT"), "nonsense");
    expect((await verdictOf(dir)).v).toBe("clean");
    const log = await opened(dir);
    await expect(openLog(dir, identity)).rejects.toThrow(FolderBusy);
    await log.close();
  });

  it("whose files the machine does not let us read is not judged", async () => {
    const refusals = [
      Object.assign(new Error("open"), { code: "EMFILE" }),
      Object.assign(new Error("Database failed to open"), { cause: new Error("IO error: /x/LOCK: Permission denied") }),
    ];
    expect(refusals.map(isEnvironment)).toEqual([true, true]);
    expect(
      [new Error("Corruption: bad record"), Object.assign(new Error("gone"), { code: "ENOENT" }), undefined].map(isEnvironment),
    ).toEqual([false, false, false]);
  });

  it("that was never formatted is foreign", async () => {
    expect(await verdictOf(dir)).toMatchObject({ v: "foreign" });
    expect(await verdictOf(join(dir, "nowhere"))).toMatchObject({ v: "foreign" });
  });

  it("of another member or cluster is foreign, by any of its parts", async () => {
    const other = join(dir, "other");
    const mine = join(dir, "mine");
    await formatLog(mine, identity, [2, 7]);
    await formatLog(other, stranger, [2, 7]);
    expect((await openLog(mine, stranger)).verdict).toMatchObject({ v: "foreign", why: expect.stringContaining("member 2") });
    await rm(join(mine, "log"), { recursive: true });
    await cp(join(other, "log"), join(mine, "log"), { recursive: true });
    expect(await verdictOf(mine)).toMatchObject({ v: "foreign", why: expect.stringContaining("member 7") });
    const third = join(dir, "third");
    await formatLog(third, identity, [2, 7]);
    await cp(join(other, "guard"), join(third, "guard"));
    expect(await verdictOf(third)).toMatchObject({ v: "foreign", why: expect.stringContaining("guard") });
  });

  it("whose formatting was cut off anywhere is finished by formatting again", async () => {
    const whole = join(dir, "whole");
    await formatLog(whole, identity, [1, 2, 3]);
    const cuts: Record<string, (path: string) => Promise<void>> = {
      "before the identity": (path) => rm(join(path, "identity.json")),
      "inside the making of the database": async (path) => {
        for (const name of ["identity.json", "guard", "log/CURRENT"]) await rm(join(path, name));
        for (const name of await filesOf(path, /\.(log|ldb)$/)) await rm(name);
      },
      "before the guard": async (path) => {
        await rm(join(path, "identity.json"));
        await rm(join(path, "guard"));
      },
      "inside the guard": async (path) => {
        await rm(join(path, "identity.json"));
        await truncate(join(path, "guard"), 100);
      },
    };
    for (const [name, cut] of Object.entries(cuts)) {
      const part = join(dir, name);
      await cp(whole, part, { recursive: true });
      await cut(part);
      expect(await verdictOf(part)).toMatchObject({ v: "lost", why: "unreadable" });
      expect(await formatLog(part, identity, [1, 2, 3])).toEqual({ ok: true, created: true });
      expect(await verdictOf(part)).toMatchObject({ v: "clean", boot: { last: { term: 1, index: 1 } } });
    }
  });

  it("that held a log once is not formatted over, however little is left", async () => {
    await formatLog(dir, identity, [1, 2, 3]);
    const log = await opened(dir);
    await log.append([batchOf({ hard: hardState(5, 1, 1), last: { term: 1, index: 1 } })]);
    await log.close();
    await rm(join(dir, "identity.json"));
    expect(await formatLog(dir, identity, [1, 2, 3])).toMatchObject({ ok: false, why: expect.stringContaining("guard") });
    const guard = await readFile(join(dir, "guard"));
    await rm(join(dir, "guard"));
    expect(await formatLog(dir, identity, [1, 2, 3])).toMatchObject({ ok: false, why: expect.stringContaining("a log") });
    await rm(join(dir, "log", "CURRENT"));
    expect(await formatLog(dir, identity, [1, 2, 3])).toMatchObject({ ok: false, why: expect.stringContaining("damaged") });
    await rm(join(dir, "log"), { recursive: true });
    await writeFile(join(dir, "guard"), guard);
    expect(await formatLog(dir, identity, [1, 2, 3])).toMatchObject({ ok: false, why: expect.stringContaining("guard") });
  });

  it("is retired with all it holds, and can then be another member's", async () => {
    await formatLog(dir, identity, [1, 2, 3]);
    const first = await retireFolder(dir, "lost-crc");
    expect(first).toBe(join(dir, "retired-2-lost-crc-1"));
    expect((await readdir(first)).toSorted()).toEqual(["guard", "identity.json", "log"]);
    expect(await inspectFolder(dir)).toEqual({ state: "unformatted" });
    await formatLog(dir, identity, null);
    expect(await retireFolder(dir, "lost-crc")).toBe(join(dir, "retired-2-lost-crc-2"));
    expect(await formatLog(dir, stranger, null)).toEqual({ ok: true, created: true });
  });
});

describe("damage to a member's files", () => {
  let base = "";
  let whole = "";
  let dir = "";
  let entries: string[] = [];

  /** A folder with two tables and a write-ahead log that was cut off by a kill: its newest entries are in the log file only. */
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), "aether-damage-"));
    whole = join(base, "whole");
    await formatLog(whole, identity, [1, 2, 3]);
    for (let restart = 0; restart < 3; restart++) {
      const log = await opened(whole);
      await grow(log, 60, 6, 400, restart + 1);
      entries = shown(log).entries;
      await log.close();
    }
  });
  afterAll(() => rm(base, { recursive: true }));
  beforeEach(async () => {
    dir = join(base, "copy");
    await cp(whole, dir, { recursive: true });
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("a flipped byte in the write-ahead log is found, wherever it is", async () => {
    const [path] = (await filesOf(dir, /\.log$/)) as [string];
    const { size } = await stat(path);
    expect(size).toBeGreaterThan(20_000);
    const bytes = [...Array(Math.floor(size / 997)).keys()].map((step) => step * 997);
    for (const byte of [...bytes, ...Array.from({ length: 24 }, (_, back) => size - 1 - back)]) {
      await flip(path, byte);
      expect([byte, await verdictOf(dir)]).toEqual([byte, lost("crc")]);
      await flip(path, byte);
    }
    expect((await verdictOf(dir)).v).toBe("clean");
  });

  it("a flipped byte in a table or the manifest is found, wherever it is", async () => {
    const paths = await filesOf(dir, /\.ldb$|^MANIFEST/);
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths) {
      const { size } = await stat(path);
      const steps = [...Array(25).keys()].map((step) => Math.floor((step * size) / 25));
      for (const byte of [...steps, size - 1, size - 8, size - 47]) {
        await flip(path, byte);
        expect([path, byte, await verdictOf(dir)]).toEqual([path, byte, lost("crc")]);
        await flip(path, byte);
      }
    }
    expect((await verdictOf(dir)).v).toBe("clean");
  });

  it("a truncated or deleted file of the database is found, and never an empty log", async () => {
    for (const like of [/\.log$/, /\.ldb$/, /^MANIFEST/, /^CURRENT$/]) {
      for (const cut of [0, 0.3, 0.9, "deleted"] as const) {
        await rm(dir, { recursive: true });
        await cp(whole, dir, { recursive: true });
        const path = (await filesOf(dir, like)).at(-1) as string;
        if (cut === "deleted") await rm(path);
        else await truncate(path, Math.floor((await stat(path)).size * cut));
        const verdict = await verdictOf(dir);
        expect([path, cut, verdict]).toEqual([path, cut, lost(verdict.v === "lost" ? verdict.why : "")]);
      }
    }
  });

  it("an emptied or deleted log folder is lost", async () => {
    await rm(join(dir, "log"), { recursive: true });
    expect(await verdictOf(dir)).toEqual(lost("unreadable"));
    // Someone's attempt to help: a new, empty database in its place.
    const empty = join(base, "empty");
    await formatLog(empty, identity, [1, 2, 3]);
    await rename(join(empty, "log"), join(dir, "log"));
    await rm(empty, { recursive: true });
    expect(await verdictOf(dir)).toEqual(lost("belowFloor"));
  });

  it("what a killed compaction left behind is not taken for damage", async () => {
    const [table] = (await filesOf(dir, /\.ldb$/)) as [string];
    await writeFile(join(dir, "log", "999990.ldb"), (await readFile(table)).subarray(0, 3000));
    await writeFile(join(dir, "log", "000001.log"), "remains of an old log");
    const { verdict, storage } = await openLog(dir, identity);
    expect(verdict.v).toBe("clean");
    expect(shown(storage as LogStorage).entries).toEqual(entries);
    await storage?.close();
  });

  it("a missing guard or identity is lost", async () => {
    await rm(join(dir, "guard"));
    expect(await verdictOf(dir)).toMatchObject({ v: "lost", why: "unreadable", detail: expect.stringContaining("guard") });
    await cp(join(whole, "guard"), join(dir, "guard"));
    await flip(join(dir, "identity.json"), 20);
    expect(await verdictOf(dir)).toMatchObject({ v: "lost", why: "unreadable", detail: expect.stringContaining("identity") });
    await rm(join(dir, "identity.json"));
    expect(await verdictOf(dir)).toMatchObject({ v: "lost", why: "unreadable", detail: expect.stringContaining("identity") });
  });

  it("an older copy of the log folder is below the guard's floor", async () => {
    const log = await opened(dir);
    await grow(log, 1, 1, 40, 3);
    await log.close();
    await rm(join(dir, "log"), { recursive: true });
    await cp(join(whole, "log"), join(dir, "log"), { recursive: true });
    expect(await verdictOf(dir)).toMatchObject({
      v: "lost",
      why: "belowFloor",
      floor: 182,
      detail: "the log ends at entry 181, but this member has held entry 182: it is an older copy, or its end is gone",
    });
  });

  it("an older copy of everything is whole in itself; what others recorded of this member shows it", async () => {
    expect((await openLog(dir, identity, { floor: 182 })).verdict).toMatchObject({ v: "lost", why: "belowFloor", floor: 182 });
    expect(await verdictOf(dir)).toMatchObject({ v: "clean", boot: { last: { index: 181 } } });
  });

  it("a log that ends inside a record which was never synced is a torn tail", async () => {
    const [path] = (await filesOf(dir, /\.log$/)) as [string];
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.from([1, 2, 3, 4, 200, 0, 1, 9, 9, 9])]));
    const { verdict, storage } = await openLog(dir, identity);
    expect(verdict).toMatchObject({ v: "tornTail", droppedAfter: 181, boot: { last: { index: 181 } } });
    expect(shown(storage as LogStorage).entries).toEqual(entries);
    await storage?.close();
    expect((await verdictOf(dir)).v).toBe("clean");
  });
});
