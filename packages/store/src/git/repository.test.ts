import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { commitOf, ObjectDamaged, type Oid, treeOf } from "./object.ts";
import { branch, BranchMoved, NoSuchCommit, Repository } from "./repository.ts";
import { QuickPack } from "./testing/quick-pack.ts";

const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "aether-repository-"));
  folders.push(dir);
  return dir;
}

const environment = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
const git = (dir: string, ...args: string[]): string =>
  execFileSync("git", ["-C", dir, ...args], { encoding: "utf8", env: environment, stdio: ["ignore", "pipe", "pipe"] });

/** One commit that holds one file. */
async function put(repository: Repository, content: string, from?: Oid | null): Promise<Oid> {
  const parent = from === undefined ? await repository.head() : from;
  const writer = new QuickPack(repository.packFolder);
  const oid = writer.add({ kind: "blob", bytes: Buffer.from(content) });
  const tree = writer.add(treeOf([{ name: "file", kind: "blob", oid }]));
  const parents = parent === null ? [] : [parent];
  const commit = writer.add(commitOf({ tree, parents, by: "aether <aether@localhost>", at: 1_700_000_000, message: content }));
  await writer.finish();
  await repository.moveHead(parent, commit);
  return commit;
}

const messages = async (repository: Repository, limit = 100): Promise<string[]> => {
  const found: string[] = [];
  for await (const { commit } of repository.log(limit)) found.push(commit.message.trim());
  return found;
};

describe("a repository", () => {
  it("is made empty, grows by commits, and is one that git takes at every step", async () => {
    const dir = join(folder(), "backup.git");
    const repository = await Repository.create(dir);
    expect(await repository.head()).toBeNull();
    expect(git(dir, "fsck", "--strict")).toBe("");
    for (const content of ["one", "two", "three"]) {
      const oid = await put(repository, content);
      expect(git(dir, "fsck", "--strict", "--full")).toBe("");
      expect(git(dir, "rev-parse", "HEAD").trim()).toBe(oid);
      expect(git(dir, "show", "HEAD:file")).toBe(content);
    }
    expect(git(dir, "log", "--format=%s")).toBe("three\ntwo\none\n");
    expect(await messages(await Repository.open(dir))).toEqual(["three", "two", "one"]);
    expect(await messages(repository, 2)).toEqual(["three", "two"]);
    const clone = join(folder(), "clone");
    execFileSync("git", ["clone", "--quiet", dir, clone], { env: environment });
    expect(readFileSync(join(clone, "file"), "utf8")).toBe("three");
  });

  it("is read as git leaves it: packed anew, with loose objects and packed branches", async () => {
    const dir = folder();
    const repository = await Repository.create(dir);
    const first = await put(repository, "one");
    await put(repository, "two");
    git(dir, "gc", "--quiet", "--prune=now");
    expect(existsSync(join(dir, branch))).toBe(false);
    // the packs that were open are gone
    expect(await messages(repository)).toEqual(["two", "one"]);
    await put(repository, "three");
    const work = join(folder(), "work");
    execFileSync("git", ["clone", "--quiet", dir, work], { env: environment });
    writeFileSync(join(work, "file"), "four");
    const who = ["-c", "user.name=eve", "-c", "user.email=eve@localhost"];
    git(work, ...who, "commit", "--quiet", "-am", "four");
    git(work, "push", "--quiet", "origin", "main");
    expect(await messages(repository)).toEqual(["four", "three", "two", "one"]);
    const newest = await repository.commit((await repository.head()) ?? "");
    expect(newest.by).toBe("eve <eve@localhost>");
    expect(await repository.resolve(first.slice(0, 8))).toBe(first);
    await put(repository, "five");
    expect(git(dir, "fsck", "--strict", "--full")).toBe("");
  });

  it("moves its branch from where the writer thought it was, or not at all", async () => {
    const repository = await Repository.create(folder());
    const one = await put(repository, "one");
    await expect(put(repository, "other", null)).rejects.toThrow(BranchMoved);
    expect(await repository.head()).toBe(one);
    writeFileSync(join(repository.dir, `${branch}.lock`), "");
    await expect(put(repository, "two")).rejects.toThrow(/somebody else is writing/);
    expect(existsSync(join(repository.dir, `${branch}.lock`))).toBe(true);
    // whoever left it is gone when the next writer begins
    await put(await Repository.create(repository.dir), "two");
    expect(await messages(repository)).toEqual(["two", "one"]);
  });

  it("forgets what a killed writer left, and nothing else", async () => {
    const dir = folder();
    const repository = await Repository.create(dir);
    await put(repository, "one");
    const writer = new QuickPack(repository.packFolder);
    writer.add({ kind: "blob", bytes: Buffer.from("lost") });
    await writer.spill();
    const packs = join(dir, "objects/pack");
    expect(readdirSync(packs).some((name) => name.startsWith("making-"))).toBe(true);
    const again = await Repository.create(dir);
    expect(readdirSync(packs)).toHaveLength(2);
    expect(await messages(again)).toEqual(["one"]);
  });

  it("says which commit is meant, or why none", async () => {
    const repository = await Repository.create(folder());
    await expect(repository.resolve("HEAD")).rejects.toThrow(/no commit yet/);
    const one = await put(repository, "one");
    const two = await put(repository, "two");
    expect(await repository.resolve("HEAD")).toBe(two);
    expect(await repository.resolve(one.slice(0, 7).toUpperCase())).toBe(one);
    expect(await repository.resolve(one)).toBe(one);
    for (const name of ["abc", "", "xyz1", "../..", "0".repeat(40), `${one}0`]) {
      await expect(repository.resolve(name), name).rejects.toThrow(NoSuchCommit);
    }
  });

  it("that is damaged says what is", async () => {
    const dir = folder();
    const repository = await Repository.create(dir);
    const one = await put(repository, "one");
    writeFileSync(join(dir, branch), "garbage\n");
    await expect(repository.head()).rejects.toThrow(ObjectDamaged);
    writeFileSync(join(dir, branch), `${"1".repeat(40)}\n`);
    await expect(messages(repository)).rejects.toThrow(/object 1{40} is missing/);
    writeFileSync(join(dir, branch), `${one}\n`);
    for (const name of readdirSync(join(dir, "objects/pack"))) rmSync(join(dir, "objects/pack", name));
    await expect(Repository.open(dir).then(messages)).rejects.toThrow(/is missing/);
    await expect(Repository.open(join(dir, "nowhere"))).rejects.toThrow(/ENOENT/);
  });
});
