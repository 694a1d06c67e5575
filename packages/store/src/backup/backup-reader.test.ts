import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manifestText } from "@aether/core/backup/manifest";
import { BackupFault, pathOf, type WantedThing } from "@aether/core/backup/thing-files";
import type { Noun } from "@aether/core/kernel/noun";
import { makeRegistry } from "@aether/core/kernel/registry";
import { memberOf } from "@aether/core/testing/rules-bench";
import { registry } from "@aether/core/registry";
import { afterEach, describe, expect, it } from "vitest";
import { blobOf, commitOf, oidOf, treeOf } from "../git/object.ts";
import { Folders } from "../git/folders.ts";
import { BackupReader } from "./backup-reader.ts";
import { BackedUp, git } from "./testing/backed-up.ts";
import type { BackedUpRow, ThingChange, Verified } from "./types.ts";
import { QuickPack } from "../git/testing/quick-pack.ts";

const open: BackedUp[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.end();
});

async function all<T>(some: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of some) found.push(each);
  return found;
}

/** A cluster with three commits. */
async function storied(): Promise<{ b: BackedUp; reader: BackupReader; commits: string[] }> {
  const b = await BackedUp.start();
  open.push(b);
  const commits: string[] = [];
  const back = async (cause: string): Promise<void> => void commits.push((await b.writer.backup(cause))?.commit ?? "");
  await b.set("app/x", 1);
  await back("one");
  await b.set("app/x", { deep: [1, "ü"] }, "why");
  await b.set("app/y", 2);
  await b.ask({ type: "RecordContact", id: "n3", contact: "lost" }, memberOf("n1"));
  await back("two");
  await b.ask({ type: "RemoveSetting", id: "app/y" });
  await back("three");
  return { b, reader: await b.reader(), commits };
}

/** A commit on top of the newest in which some files are others, as somebody with git could make it. */
async function edited(b: BackedUp, files: Readonly<Record<string, string | null>>): Promise<string> {
  const { repository } = b.writer;
  const parent = (await repository.head()) ?? "";
  const { tree, message, at } = await repository.commit(parent);
  const [folders, writer] = [new Folders(repository, tree), new QuickPack(repository.packFolder)];
  for (const [path, text] of Object.entries(files)) await folders.put(path, text === null ? null : writer.add(blobOf(text)));
  const commit = { tree: await folders.write(writer), parents: [parent], by: "somebody <some@body>", at, message };
  const oid = writer.add(commitOf(commit));
  await writer.finish();
  await repository.moveHead(parent, oid);
  return oid;
}

const paths = ({ faults }: Verified): string[] => faults.map(({ path }) => path).toSorted();

describe("a backup's reader", () => {
  it("lists the newest first, as their messages tell", async () => {
    const { b, reader, commits } = await storied();
    const { index, at } = b.member.store.moment();
    const listed = await all(reader.list(10));
    expect(listed.map(({ commit, cause, message, changed }) => [commit, cause, message, changed])).toEqual([
      [commits[2], "three", "setting app/y", 1],
      [commits[1], "two", "2 settings", 2],
      [commits[0], "one", "cluster home, 3 nodes, 7 settings", 11],
    ]);
    expect(listed[0]).toMatchObject({ index, at, things: 11 });
    expect(await all(reader.list(1))).toEqual(listed.slice(0, 1));
    expect(await all(reader.list(5, commits[1]))).toEqual(listed.slice(1));
    expect(await reader.manifest(commits[2] ?? "")).toMatchObject({ index, at, counts: { setting: 7 } });
  });

  it("gives what is wanted, and whole rows, as they were", async () => {
    const { b, reader, commits } = await storied();
    const rows = await all(reader.rows(commits[2] ?? ""));
    const now: BackedUpRow[] = registry.nouns
      .filter(({ backup }) => backup !== undefined)
      .flatMap(({ name }) => [...b.member.store.world.all(name)].map((stored) => ({ noun: name, stored })));
    const { index, at } = b.member.store.moment();
    const known = ({ noun, stored }: BackedUpRow): BackedUpRow =>
      noun === "setting" ? { noun, stored: { ...stored, version: 1, index, at } } : { noun, stored };
    const named = (some: readonly BackedUpRow[]): Map<string, BackedUpRow> =>
      new Map(some.map((row) => [`${row.noun}/${row.stored.id}`, row]));
    expect(named(rows)).toEqual(named(now.map(known)));
    const things = await all(reader.things(commits[0] ?? ""));
    expect(things).toHaveLength(11);
    expect(things).toContainEqual({ noun: "setting", id: "app/x", wanted: { value: 1, description: "" } });
    expect(things).toContainEqual({ noun: "node", id: "n3", wanted: { duty: "on-duty" } });
  });

  it("tells what differs between any two, or against nothing", async () => {
    const { reader, commits } = await storied();
    const [one = "", two = "", three = ""] = commits;
    const told = (changes: readonly ThingChange[]): string[] =>
      changes.map(({ noun, id, kind }) => `${kind} ${noun}/${id}`).toSorted();
    const forth = await all(reader.changes(one, two));
    expect(told(forth)).toEqual(["changed setting/app/x", "created setting/app/y"]);
    expect(forth.find(({ id }) => id === "app/x")).toMatchObject({
      from: { value: 1, description: "" },
      to: { value: { deep: [1, "ü"] }, description: "why" },
    });
    expect(told(await all(reader.changes(two, one)))).toEqual(["changed setting/app/x", "removed setting/app/y"]);
    expect(told(await all(reader.changes(one, three)))).toEqual(["changed setting/app/x"]);
    expect(await all(reader.changes(three, three))).toEqual([]);
    expect(told(await all(reader.changesOf(three)))).toEqual(["removed setting/app/y"]);
    expect(await all(reader.changesOf(one))).toHaveLength(11);
  });

  it("brings what an older version wrote into today's form, and refuses what a newer one did", async () => {
    const { b, commits } = await storied();
    const newer = (v: number, upcast: Readonly<Record<number, (old: unknown) => unknown>>): BackupReader => {
      const nouns = registry.nouns.map((noun): Noun => {
        const { backup } = noun;
        return noun.name === "setting" && backup !== undefined ? { ...noun, backup: { ...backup, v, upcast } } : noun;
      });
      return new BackupReader(b.writer.repository, makeRegistry(nouns));
    };
    const upcast = {
      1: (old: unknown) => ({ ...(old as object), colour: "red" }),
      2: (old: unknown) => ({ ...(old as object), size: 2 }),
    };
    const things: WantedThing[] = await all(newer(3, upcast).things(commits[0] ?? ""));
    const wanted = { value: 1, description: "", colour: "red", size: 2 };
    expect(things).toContainEqual({ noun: "setting", id: "app/x", wanted });
    await expect(all(newer(0, {}).things(commits[0] ?? ""))).rejects.toThrow(BackupFault);
  });
});

describe("verifying a backup", () => {
  it("finds nothing in what Aether wrote, and says how much it looked at", async () => {
    const { b, reader, commits } = await storied();
    for (const commit of commits) expect(await reader.verify(commit)).toMatchObject({ sound: true, faults: [], commit });
    const { index, chain } = b.member.store.moment();
    const verified = await reader.verify();
    expect(verified).toMatchObject({ commit: commits[2], manifest: { index, chain }, files: 11 + 4 });
    const listed = git(b.dir, "ls-tree", "-r", "-t", "HEAD").trim().split("\n");
    expect(verified.objects, "commit and root are not listed").toBe(listed.length + 2);
  });

  it("names what was edited, file by file", async () => {
    const { b, reader } = await storied();
    const x = pathOf("settings", "app/x");
    const n1 = pathOf("nodes", "n1");
    const there = (path: string): string => git(b.dir, "show", `HEAD:${path}`);
    const manifest = await reader.manifest((await b.writer.repository.head()) ?? "");
    const found = async (files: Readonly<Record<string, string | null>>): Promise<string[]> => {
      const verified = await reader.verify(await edited(b, files));
      expect(verified.sound).toBe(false);
      return paths(verified);
    };
    const cases: readonly (readonly [Readonly<Record<string, string | null>>, readonly string[]])[] = [
      [{ [x]: there(x).replace("ü", "u") }, ["manifest.json"]],
      [{ [x]: `${there(x)}\n` }, ["manifest.json", "manifest.json", x]],
      [{ [x]: there(x), "settings/README": "hello" }, ["manifest.json", "settings/README"]],
      [{ "settings/README": null, [`observed/${n1}`]: null }, [`observed/${n1}`]],
      [{ [`observed/${n1}`]: "{}\n" }, [`observed/${n1}`]],
      [{ [`observed/${n1}`]: null, [n1]: null }, ["manifest.json", "manifest.json"]],
      [
        { "manifest.json": manifestText({ ...manifest, index: manifest.index + 1 }) },
        ["manifest.json", "manifest.json", "message"],
      ],
      [{ "manifest.json": "{}\n" }, ["manifest.json"]],
      [{ "manifest.json": null }, ["manifest.json"]],
    ];
    for (const [files, expected] of cases) expect(await found(files)).toEqual(expected);
  });

  it("names what is damaged, and goes on past it", async () => {
    const { b } = await storied();
    const packs = join(b.dir, "objects/pack");
    const x = pathOf("settings", "app/x");
    const oid = oidOf(blobOf(git(b.dir, "show", `HEAD:${x}`)));
    git(b.dir, "gc", "--quiet", "--prune=now");
    const pack = readdirSync(packs).find((name) => name.endsWith(".pack")) ?? "";
    const at = Number(
      git(b.dir, "verify-pack", "-v", join(packs, pack))
        .split("\n")
        .find((line) => line.startsWith(oid))
        ?.split(/ +/)[4],
    );
    const bytes = readFileSync(join(packs, pack));
    bytes[at + 12] = (bytes[at + 12] ?? 0) ^ 0xff;
    rmSync(join(packs, pack));
    writeFileSync(join(packs, pack), bytes);
    const reader = await b.reader();
    const verified = await reader.verify();
    expect(verified.sound).toBe(false);
    expect(paths(verified)).toContain(`objects/pack/${pack}`);
    expect(paths(verified)).toContain(x);
    expect(paths(verified).filter((path) => path.startsWith("nodes/"))).toEqual([]);
    for (const name of readdirSync(packs).filter((each) => each.endsWith(".idx"))) {
      rmSync(join(packs, name));
      writeFileSync(join(packs, name), "nothing");
    }
    const broken = await (await b.reader()).verify();
    expect(broken.faults.map(({ what }) => what).join("\n")).toMatch(/not a pack's index[^]*cannot be read: pack-/);
    expect(broken.manifest).toBeNull();
  });

  it("of a tree that names what is not there says what", async () => {
    const { b, reader } = await storied();
    const { repository } = b.writer;
    const head = (await repository.head()) ?? "";
    const { tree, at, message } = await repository.commit(head);
    const entries = git(b.dir, "ls-tree", tree).trim().split("\n");
    const root = entries.map((line) => {
      const [, kind = "", oid = "", name = ""] = /^\d+ (\w+) (\w+)\t(.*)$/.exec(line) ?? [];
      return { name, kind: kind as "blob" | "tree", oid: name === "nodes" ? "1".repeat(40) : oid };
    });
    const writer = new QuickPack(repository.packFolder);
    const commit = writer.add(commitOf({ tree: writer.add(treeOf(root)), parents: [head], by: "x <x@x>", at, message }));
    await writer.finish();
    expect(paths(await reader.verify(commit))).toContain("nodes");
  });
});
