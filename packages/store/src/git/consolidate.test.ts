import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { FileFolder, OpenFile } from "../file-folder.ts";
import type { FolderTree } from "../folder-tree.ts";
import { noPace } from "../pace.ts";
import { consolidate } from "./consolidate.ts";
import { commitOf, ObjectDamaged, type Oid } from "./object.ts";
import { Repository } from "./repository.ts";
import { cutHistory } from "./shallow.ts";
import { rowPath, rowText, startStory } from "./testing/story.ts";
import { unsynced } from "./testing/unsynced.ts";
import { QuickPack } from "./testing/quick-pack.ts";

const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "aether-consolidate-"));
  folders.push(dir);
  return dir;
}

const environment = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
const git = (dir: string, ...args: string[]): string =>
  execFileSync("git", ["-C", dir, ...args], {
    encoding: "utf8",
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 28,
  });
const packsOf = (dir: string): string[] => readdirSync(join(dir, "objects/pack")).filter((name) => name.endsWith(".pack"));
const options = { pace: noPace };

/** What git finds: each commit, newest first, with its tree and every file that it changed. */
const everything = (dir: string): string => git(dir, "log", "--root", "--raw", "-r", "--no-abbrev", "--format=%H %T");

/** `commits` backups after the first one of `rows` rows; each changes five rows, and some bring a new one or take one away. */
async function grown(rows: number, commits: number): Promise<Repository> {
  const dir = join(folder(), "backup.git");
  const repository = await Repository.create(dir, unsynced(dir));
  const story = await startStory(repository);
  await story.commit(Array.from({ length: rows }, (_, id) => [rowPath(id), rowText(id, 0)]));
  await goOn(repository, rows, 1, commits);
  return repository;
}

/** Goes on with commits numbered from `first`. */
async function goOn(repository: Repository, rows: number, first: number, commits: number, changed = 5): Promise<void> {
  const story = await startStory(repository);
  for (let n = first; n < first + commits; n++) {
    const changes = Array.from({ length: changed }, (_, i): [string, string | null] => {
      const id = (n * 7 + i * 13) % rows;
      return [rowPath(id), i === 4 && n % 3 === 0 ? null : rowText(id, n)];
    });
    await story.commit(n % 5 === 0 ? [...changes, [rowPath(rows + n), rowText(rows + n, n)]] : changes);
  }
}

describe("packs of many backups", { timeout: 60_000 }, () => {
  it("become one of deltas, which holds every version of everything, to us and to git", async () => {
    const repository = await grown(300, 60);
    const { dir } = repository;
    const before = everything(dir);
    const lone = await Repository.open(dir, unsynced(dir));
    const done = await consolidate(repository, options);
    expect(done).toMatchObject({ packsBefore: 61, packs: 1 });
    expect(done?.bytes).toBeLessThan((done?.bytesBefore ?? 0) * 0.6);
    expect(packsOf(dir)).toHaveLength(1);
    expect(git(dir, "fsck", "--strict", "--full")).toBe("");
    expect(everything(dir)).toBe(before);
    const chains = [
      ...git(dir, "verify-pack", "-v", join(dir, "objects/pack", packsOf(dir)[0] ?? "")).matchAll(/chain length = (\d+)/g),
    ];
    expect(Math.max(...chains.map(([, length]) => Number(length)))).toBeGreaterThan(5);
    // the newest version is whole: it is what a restore reads
    const newest = git(dir, "ls-tree", "-r", "HEAD")
      .trim()
      .split("\n")
      .map((line) => line.slice(12, 52));
    const deltas = new Set(
      [
        ...git(dir, "verify-pack", "-v", join(dir, "objects/pack", packsOf(dir)[0] ?? "")).matchAll(
          /^([0-9a-f]{40}) blob +\d+ \d+ \d+ \d+ [0-9a-f]{40}$/gm,
        ),
      ].map(([, oid]) => oid),
    );
    expect(deltas.size).toBeGreaterThan(100);
    expect(newest.filter((oid) => deltas.has(oid))).toEqual([]);
    // a reader that has the packs of before open goes on
    for (const oid of newest.slice(0, 20)) expect((await lone.read(oid)).kind).toBe("blob");
    const clone = join(folder(), "clone");
    execFileSync("git", ["clone", "--quiet", dir, clone], { env: environment });
    expect(readFileSync(join(clone, rowPath(1)), "utf8")).toContain('"row_1"');
  });

  it("are left alone while they are few; the small ones become one before the large one is touched", async () => {
    const repository = await grown(6_000, 0);
    const { dir } = repository;
    await goOn(repository, 6_000, 1, 49, 1);
    expect(await consolidate(repository, options)).toBeNull();
    await goOn(repository, 6_000, 50, 1, 1);
    const largest = (): string =>
      packsOf(dir).toSorted(
        (a, b) => statSync(join(dir, "objects/pack", b)).size - statSync(join(dir, "objects/pack", a)).size,
      )[0] ?? "";
    const first = largest();
    const before = everything(dir);
    expect(await consolidate(repository, options)).toMatchObject({ packsBefore: 51, packs: 2 });
    expect(largest()).toBe(first);
    expect(everything(dir)).toBe(before);
    expect(git(dir, "fsck", "--strict", "--full")).toBe("");
  });

  it("again and again are still sound, in chains of fifty at most, no larger than git makes them", async () => {
    const repository = await grown(40, 55);
    const { dir } = repository;
    for (let round = 0; round < 2; round++) {
      expect(await consolidate(repository, options)).not.toBeNull();
      await goOn(repository, 40, 56 + round * 52, 52);
    }
    await consolidate(repository, options);
    const before = everything(dir);
    expect(git(dir, "fsck", "--strict", "--full")).toBe("");
    const chains = packsOf(dir).flatMap((name) =>
      [...git(dir, "verify-pack", "-v", join(dir, "objects/pack", name)).matchAll(/chain length = (\d+)/g)].map(([, length]) =>
        Number(length),
      ),
    );
    expect(Math.max(...chains)).toBeLessThanOrEqual(50);
    expect(Math.max(...chains)).toBeGreaterThan(25);
    const bytes = (): number =>
      readdirSync(join(dir, "objects/pack")).reduce((sum, name) => sum + statSync(join(dir, "objects/pack", name)).size, 0);
    const ours = bytes();
    git(dir, "gc", "--quiet", "--prune=now");
    expect(everything(dir)).toBe(before);
    expect(ours).toBeLessThan(bytes() * 1.5);
    // and what git has made of it goes on in the same way
    await goOn(repository, 40, 300, 52);
    const later = everything(dir);
    expect(await consolidate(repository, options)).toMatchObject({ packs: 1 });
    expect(everything(dir)).toBe(later);
    expect(git(dir, "fsck", "--strict", "--full")).toBe("");
  });

  it("while they become one, backups go on", async () => {
    const repository = await grown(200, 55);
    let steps = 0;
    const meanwhile: Promise<void>[] = [];
    const pace = { rest: async () => void (steps++ === 3 && meanwhile.push(goOn(repository, 200, 56, 3))) };
    await consolidate(repository, { pace });
    expect(meanwhile).toHaveLength(1);
    await Promise.all(meanwhile);
    expect(git(repository.dir, "fsck", "--strict", "--full")).toBe("");
    expect(git(repository.dir, "rev-list", "--count", "HEAD").trim()).toBe("59");
    expect((await consolidate(repository, { ...options, always: true }))?.packs).toBe(1);
    expect(git(repository.dir, "fsck", "--strict", "--full")).toBe("");
  });

  it("of which one is damaged stay as they are, and the damaged one is named", async () => {
    const repository = await grown(50, 51);
    const { dir } = repository;
    const [name = ""] = packsOf(dir);
    const file = join(dir, "objects/pack", name);
    const bytes = readFileSync(file);
    bytes[Math.floor(bytes.length / 2)]! ^= 0x10;
    rmSync(file);
    writeFileSync(file, bytes);
    const files = readdirSync(join(dir, "objects/pack")).toSorted();
    await expect(consolidate(await Repository.open(dir), options)).rejects.toThrow(ObjectDamaged);
    await expect(consolidate(await Repository.open(dir), options)).rejects.toThrow(name.slice(0, -5));
    expect(readdirSync(join(dir, "objects/pack")).toSorted()).toEqual(files);
  });

  it("are given up when that is asked for", async () => {
    const repository = await grown(50, 51);
    const stop = new AbortController();
    const pace = { rest: () => Promise.resolve(stop.abort(new Error("the leader steps down"))) };
    await expect(consolidate(repository, { pace, signal: stop.signal })).rejects.toThrow("the leader steps down");
    expect(packsOf(repository.dir)).toHaveLength(52);
    expect(readdirSync(join(repository.dir, "objects/pack")).some((name) => name.startsWith("making-"))).toBe(false);
  });
});

describe("a history that is cut", { timeout: 60_000 }, () => {
  it("ends at the oldest commit that is kept, for us, for git and for its clones; what only older ones held vanishes", async () => {
    const repository = await grown(100, 59);
    const { dir } = repository;
    const log = git(dir, "log", "--format=%H").trim().split("\n");
    const oldest = git(dir, "ls-tree", "-r", "HEAD~19");
    expect(await cutHistory(repository, 60)).toBeNull();
    expect(await cutHistory(repository, 20)).toBe(log[19]);
    expect(git(dir, "log", "--format=%H").trim().split("\n")).toEqual(log.slice(0, 20));
    const ours: Oid[] = [];
    for await (const { oid } of repository.log(1_000)) ours.push(oid);
    expect(ours).toEqual(log.slice(0, 20));
    await expect(repository.resolve(log[20]?.slice(0, 12) ?? "")).rejects.toThrow(/there is no commit/);
    expect(git(dir, "fsck", "--strict", "--full", "--no-dangling")).toBe("");
    await consolidate(repository, options);
    expect(git(dir, "fsck", "--strict", "--full", "--unreachable")).toBe("");
    expect(() => git(dir, "cat-file", "-e", log[20] ?? "")).toThrow();
    expect(git(dir, "ls-tree", "-r", "HEAD~19")).toBe(oldest);
    const clone = join(folder(), "clone");
    execFileSync("git", ["clone", "--quiet", `file://${dir}`, clone], { env: environment, stdio: "ignore" });
    expect(git(clone, "log", "--format=%H").trim().split("\n")).toEqual(log.slice(0, 20));
    // and goes on from there
    await goOn(repository, 100, 60, 10);
    expect(await cutHistory(repository, 20)).toBe(log[9]);
    expect((await consolidate(repository, { ...options, always: true }))?.packs).toBe(1);
    expect(git(dir, "fsck", "--strict", "--full", "--unreachable")).toBe("");
    expect(git(dir, "rev-list", "--count", "HEAD").trim()).toBe("20");
  });

  it("loses no backup that is being written when what was cut off vanishes", async () => {
    const repository = await grown(30, 30);
    const head = await repository.head();
    const next = await packOfNext(repository);
    await cutHistory(repository, 5);
    await consolidate(repository, { ...options, always: true });
    await repository.moveHead(head, next);
    expect(git(repository.dir, "fsck", "--strict", "--full", "--no-dangling")).toBe("");
    expect(git(repository.dir, "rev-list", "--count", "HEAD").trim()).toBe("6");
  });

  it("keeps what other branches need", async () => {
    const repository = await grown(30, 30);
    const old = git(repository.dir, "rev-parse", "HEAD~20").trim();
    git(repository.dir, "tag", "before-the-move", old);
    await cutHistory(repository, 5);
    await consolidate(repository, { ...options, always: true });
    expect(git(repository.dir, "cat-file", "-t", "before-the-move").trim()).toBe("commit");
    expect(git(repository.dir, "fsck", "--strict", "--full", "--no-dangling")).toBe("");
  });

  it("is of one commit at least", async () => {
    const repository = await grown(3, 1);
    await expect(cutHistory(repository, 0)).rejects.toThrow(RangeError);
  });
});

/** A backup's pack that has been named while the branch has not moved yet. */
async function packOfNext(repository: Repository): Promise<Oid> {
  const head = (await repository.head()) ?? "";
  const writer = new QuickPack(repository.packFolder);
  const { tree } = await repository.commit(head);
  const oid = writer.add(commitOf({ tree, parents: [head], by: "Aether <a@b>", at: 1_700_009_999, message: "next" }));
  await writer.finish();
  return oid;
}

describe("a process that is killed while packs become one", () => {
  it("leaves a repository that is sound and whole, wherever it was", async () => {
    const source = await grown(25, 52);
    const before = everything(source.dir);
    let survived = 0;
    let operations = 0;
    for (let after = 0; ; after = after < 8 ? after + 1 : Math.ceil(after * 1.6)) {
      const dir = join(folder(), "backup.git");
      execFileSync("cp", ["-a", source.dir, dir]);
      const repository = await Repository.open(dir, failing(dir, after));
      const done = await consolidate(repository, options).catch((error: Error) => {
        expect(error.message).toBe("the process was killed");
      });
      expect(git(dir, "fsck", "--strict", "--full"), `after ${after}`).toBe("");
      expect(everything(dir), `after ${after}`).toBe(before);
      operations = after;
      const again = await Repository.create(dir, unsynced(dir));
      expect(readdirSync(join(dir, "objects/pack")).every((name) => /^pack-.*\.(pack|idx)$/.test(name))).toBe(true);
      for await (const { commit } of again.log(100)) expect((await again.read(commit.tree)).kind).toBe("tree");
      // what is left of packs goes with the next consolidation
      await goOn(again, 25, 53, 1);
      await consolidate(again, { ...options, always: true });
      expect(await again.lonePacks(), `after ${after}`).toEqual([]);
      expect(packsOf(dir)).toHaveLength(1);
      if (done !== undefined) break;
      survived++;
    }
    expect(survived).toBeGreaterThan(10);
    expect(operations).toBeGreaterThan(100);
  }, 60_000);
});

/** A folder of which every change fails from the given one on, as if the process were no more. */
function failing(dir: string, changes: number): FolderTree {
  let left = changes;
  const counted = async <T>(change: () => Promise<T>): Promise<T> => {
    if (left-- <= 0) throw new Error("the process was killed");
    return change();
  };
  const file = (real: OpenFile): OpenFile => ({
    ...real,
    write: (bytes) => counted(() => real.write(bytes)),
    sync: () => counted(() => real.sync()),
  });
  const one = (real: FileFolder): FileFolder => ({
    ...real,
    open: async (name, how) => file(await (how === "read" ? real.open(name, how) : counted(() => real.open(name, how)))),
    rename: (from, to) => counted(() => real.rename(from, to)),
    remove: (name) => counted(() => real.remove(name)),
    sync: () => counted(() => real.sync()),
  });
  const tree = unsynced(dir);
  return { make: (path) => counted(() => tree.make(path)), folder: (path) => one(tree.folder(path)) };
}
