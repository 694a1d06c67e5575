import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Folders } from "./folders.ts";
import { commitOf, emptyTree, type Oid } from "./object.ts";
import { Repository } from "./repository.ts";

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
  const writer = repository.writer();
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
    expect((await repository.commit((await repository.head()) ?? "")).tree).toBe(emptyTree);
    await commit(repository, held, [["a", "file"]]);
    await commit(repository, held, [["a/b", "below"]]);
    expect([...(await filesOf(await anew(repository))).keys()]).toEqual(["a/b"]);
    await held.put("new/one", "0".repeat(40));
    await expect(held.top()).rejects.toThrow(/write it first/);
  });
});
