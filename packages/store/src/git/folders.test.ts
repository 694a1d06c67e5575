import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Folders } from "./folders.ts";
import { blobOf, commitOf, entriesOf, ObjectDamaged, type Oid, oidOf, type TreeEntry, treeOf } from "./object.ts";
import { Repository } from "./repository.ts";
import { TreeBytes } from "./tree-bytes.ts";
import { QuickPack } from "./testing/quick-pack.ts";

const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true });
});

async function empty(): Promise<Repository> {
  const dir = mkdtempSync(join(tmpdir(), "aether-folders-"));
  folders.push(dir);
  return Repository.create(dir);
}

const git = (repository: Repository, ...args: string[]): string =>
  execFileSync("git", ["-C", repository.dir, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** A commit with these changes on top of what `held` has; gives the objects that it took. */
async function commit(
  repository: Repository,
  held: Folders,
  changes: Iterable<readonly [string, string | null]>,
): Promise<number> {
  const parent = await repository.head();
  const writer = new QuickPack(repository.packFolder);
  for (const [path, text] of changes)
    await held.put(path, text === null ? null : writer.add({ kind: "blob", bytes: Buffer.from(text) }));
  const tree = await held.write(writer);
  const parents = parent === null ? [] : [parent];
  const oid = writer.add(commitOf({ tree, parents, by: "aether <aether@localhost>", at: 1_700_000_000, message: "x" }));
  await writer.finish();
  await repository.moveHead(parent, oid);
  return writer.objects;
}

const filesOf = async (held: Folders, path?: string): Promise<Map<string, Oid>> => {
  const found = new Map<string, Oid>();
  for await (const file of held.files(path)) found.set(file.path, file.oid);
  return found;
};

const anew = async (repository: Repository): Promise<Folders> =>
  new Folders(repository, (await repository.commit((await repository.head()) ?? "")).tree);

describe("folders of a commit", () => {
  it("hold what was put, for us and for git, however they came to it", async () => {
    const name = fc.constantFrom("a", "b", "a.b", "a-", "ä");
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `${names.map((each) => `${each}_`).join("/")}f`);
    const changes = fc.array(fc.tuple(path, fc.option(fc.constantFrom("one", "two", "three"), { freq: 3 })), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(changes, { minLength: 1, maxLength: 3 }), async (rounds) => {
        const repository = await empty();
        const expected = new Map<string, string>();
        let held = new Folders(repository, null);
        for (const round of rounds) {
          await commit(repository, held, round);
          for (const [where, text] of round) {
            if (text === null) expected.delete(where);
            else expected.set(where, text);
          }
          held = await anew(repository);
        }
        const found = await filesOf(held);
        expect([...found.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
        for (const [where, oid] of found) {
          expect(Buffer.from((await repository.read(oid)).bytes).toString()).toBe(expected.get(where));
          expect(await held.file(where)).toBe(oid);
        }
        const listed = git(repository, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "HEAD")
          .split("\n")
          .filter((line) => line !== "");
        expect(listed.toSorted()).toEqual([...expected.keys()].toSorted());
        expect(git(repository, "fsck", "--strict", "--full", "--no-dangling")).toBe("");
      }),
      { numRuns: 25 },
    );
  });

  it("cost what changed, not what there is", async () => {
    const repository = await empty();
    const all = Array.from(
      { length: 2_000 },
      (_, i) => [`settings/${(i % 50).toString(16).padStart(2, "0")}/key-${i}.json`, `${i}`] as const,
    );
    await commit(repository, new Folders(repository, null), all);
    const held = await anew(repository);
    // file, its folder, settings, root, commit; then the file once more, and the commit
    expect(await commit(repository, held, [["settings/07/key-7.json", "other"]])).toBe(5);
    expect(await commit(repository, held, [["settings/07/key-7.json", "other"]])).toBe(2);
    expect(await commit(repository, held, [["settings/07/key-7.json", null]])).toBe(4);
    expect((await filesOf(held, "settings/07")).size).toBe(39);
    expect(await held.file("settings/07/key-7.json")).toBeNull();
    expect(await held.file("settings/07")).toBeNull();
    expect(await held.file("nowhere/at/all")).toBeNull();
    expect((await filesOf(held, "nowhere")).size).toBe(0);
    expect(await held.top()).toEqual([
      { name: "settings", kind: "tree", oid: git(repository, "rev-parse", "HEAD:settings").trim() },
    ]);
  });

  it("go with their last file, and a file may become a folder", async () => {
    const repository = await empty();
    const held = new Folders(repository, null);
    await commit(repository, held, [["a/b/c", "one"]]);
    await commit(repository, held, [
      ["a/b/c", null],
      ["x/y", null],
    ]);
    expect((await repository.commit((await repository.head()) ?? "")).tree).toBe(oidOf(treeOf([])));
    await commit(repository, held, [["a", "file"]]);
    await commit(repository, held, [["a/b", "below"]]);
    expect([...(await filesOf(await anew(repository))).keys()]).toEqual(["a/b"]);
    await held.put("new/one", "0".repeat(40));
    await expect(held.top()).rejects.toThrow(/write it first/);
  });
});

describe("folders made anew beside others", () => {
  it("add only what those have not, and the others tell what is gone", async () => {
    const repository = await empty();
    const files = Array.from({ length: 300 }, (_, i): [string, string] => [`a/${i % 20}/f${i}`, `${i}`]);
    await commit(repository, new Folders(repository, null), [...files, ["b/only", "x"], ["top", "y"]]);
    const old = await anew(repository);
    const again = new Folders(repository, null);
    const writer = new QuickPack(repository.packFolder);
    for (const [path, text] of files.slice(1)) await again.put(path, oidOf(blobOf(text)));
    await again.put("a/7/new", writer.add(blobOf("new")));
    await again.put("c/d/other", oidOf(blobOf("x")));
    await again.writeFolders(writer, undefined, old);
    // the new file; the folders a/0, a/7, a, c/d, c
    expect(writer.objects).toBe(1 + 5);
    const gone: string[] = [];
    for await (const { path } of old.notIn(again)) gone.push(path);
    expect(gone.toSorted()).toEqual(["a/0/f0", "b/only", "top"]);
    const added: string[] = [];
    for await (const { path } of again.notIn(old)) added.push(path);
    expect(added.toSorted()).toEqual(["a/7/new", "c/d/other"]);
    await writer.finish();
    await repository.refresh();
    const tree = await again.write(new QuickPack(repository.packFolder), undefined, old);
    expect(tree).toMatch(/^[0-9a-f]{40}$/);
    const same = new Folders(repository, null);
    for (const [path, text] of [...files, ["b/only", "x"], ["top", "y"]] as const) await same.put(path, oidOf(blobOf(text)));
    const nothing = new QuickPack(repository.packFolder);
    expect(await same.write(nothing, undefined, old)).toBe((await repository.commit((await repository.head()) ?? "")).tree);
    expect(nothing.objects).toBe(0);
  });
});

describe("a tree's bytes", () => {
  const name = fc.oneof(
    fc.constantFrom("a", "a.b", "a-", "a0", "ä", "é", "\u{1f600}", "\uff5e"),
    fc.string({ minLength: 1, maxLength: 3 }),
  );
  const good = name.filter((each) => each.isWellFormed() && !/[\0/]/.test(each));

  it("are those that git would make, in whatever order entries come and go", () => {
    const change = fc.record({
      name: good,
      kind: fc.constantFrom("blob" as const, "tree" as const),
      gone: fc.boolean(),
      n: fc.nat(9),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const tree = new TreeBytes(null);
        const expected = new Map<string, TreeEntry>();
        for (const { name: each, kind, gone, n } of changes) {
          const oid = `${n}`.repeat(40);
          if (gone) tree.remove(each);
          else tree.set(each, kind, oid);
          if (gone) expected.delete(each);
          else expected.set(each, { name: each, kind, oid });
          expect(tree.find(each)).toEqual(gone ? null : { kind, oid });
        }
        const whole = treeOf([...expected.values()]);
        expect(Buffer.from(tree.object.bytes)).toEqual(Buffer.from(whole.bytes));
        expect([...tree.entries()]).toEqual(entriesOf(whole));
      }),
    );
  });

  it("that are none are refused", () => {
    const bytes = Buffer.from(treeOf([{ name: "a", kind: "blob", oid: "1".repeat(40) }]).bytes);
    expect(() => new TreeBytes({ kind: "blob", bytes })).toThrow(ObjectDamaged);
    for (const cut of [1, 5, 8, 12, bytes.length - 1])
      expect(() => new TreeBytes({ kind: "tree", bytes: bytes.subarray(0, cut) }).find("b"), `${cut}`).toThrow(ObjectDamaged);
    const link = Buffer.concat([Buffer.from("120000 l\0"), Buffer.alloc(20)]);
    expect(() => [...new TreeBytes({ kind: "tree", bytes: link }).entries()]).toThrow(/mode 120000/);
  });
});
