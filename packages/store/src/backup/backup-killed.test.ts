import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { registry } from "@aether/core/registry";
import { afterEach, describe, expect, it } from "vitest";
import { dyingTree, killed } from "../git/testing/dying-tree.ts";
import { noPace } from "../pace.ts";
import { BackupReader } from "./backup-reader.ts";
import { BackupWriter } from "./backup-writer.ts";
import { BackedUp, fsck, git, home } from "./testing/backed-up.ts";
import { filesOfCommit, filesOfWorld } from "./testing/world-files.ts";

const open: BackedUp[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.end();
  for (const each of folders.splice(0)) rmSync(each, { recursive: true });
});

const folder = (): string => {
  const dir = mkdtempSync(join(tmpdir(), "aether-killed-"));
  folders.push(dir);
  return dir;
};

/** Every backup of `b` that dies, from the repository in `from` (null: there is none), at every change of a file that it makes, or every `step`th. */
async function everyDeath(b: BackedUp, from: string | null, last: "done" | "undone", step: number): Promise<number> {
  const { store } = b.member;
  const expected = filesOfWorld(store.world);
  const before = from === null ? "" : git(from, "rev-parse", "HEAD");
  for (let changes = 0; ; changes += step) {
    const dir = join(folder(), "backup.git");
    if (from !== null) cpSync(from, dir, { recursive: true });
    const given = { dir, store, registry, cluster: home, pace: noPace };
    const first = BackupWriter.open({ ...given, tree: dyingTree(dir, changes, last) });
    const done = await first
      .then((writer) => writer.backup("dies"))
      .catch((error: Error) => {
        expect(error.message).toBe(killed);
      });
    const where = `${last} after ${changes} changes`;
    if (from !== null) {
      expect(fsck(dir), where).toBe("");
      const now = git(dir, "rev-parse", "HEAD");
      if (now !== before) expect(filesOfCommit(dir), where).toEqual(expected);
      if (changes % (4 * step) === 0) execFileSync("git", ["clone", "--quiet", "--bare", dir, join(folder(), "clone")]);
    }
    const again = await BackupWriter.open(given);
    await again.backup("goes on", { force: true });
    again.close();
    expect(fsck(dir), where).toBe("");
    expect(filesOfCommit(dir), where).toEqual(expected);
    expect(
      readdirSync(join(dir, "objects/pack")).filter((name) => !name.startsWith("pack-")),
      where,
    ).toEqual([]);
    expect(readdirSync(join(dir, "refs/heads")), where).toEqual(["main"]);
    expect(await (await BackupReader.open(dir, registry)).verify(), where).toMatchObject({ sound: true });
    if (done !== undefined) return changes;
    rmSync(dir, { recursive: true });
  }
}

describe("a backup that is killed", { timeout: 120_000 }, () => {
  it.for([
    ["done", 1],
    ["undone", 3],
  ] as const)("leaves the old commit or the new one, and the next goes on (%s)", async ([last, step]) => {
    const b = await BackedUp.start();
    open.push(b);
    await b.set("app/x", 1);
    await b.writer.backup("one");
    await b.set("app/y", 2);
    await b.ask({ type: "RemoveSetting", id: "app/x" });
    expect(await everyDeath(b, b.dir, last, step)).toBeGreaterThan(15);
  });

  it("leaves nothing that stands in the way of a first one", async () => {
    const b = await BackedUp.start();
    open.push(b);
    expect(await everyDeath(b, null, "done", 2)).toBeGreaterThan(20);
  });

  it("by its disk tells what the disk said, and writes the same the next time, with all that has changed since", async () => {
    const b = await BackedUp.start();
    open.push(b);
    await b.writer.backup("one");
    b.writer.close();
    await b.open({ tree: dyingTree(b.dir, 15, "undone") });
    await b.set("app/x", 1);
    await expect(b.writer.backup("two")).rejects.toThrow(killed);
    expect(b.writer.dirty).toBe(true);
    await b.set("app/y", 1);
    await b.open();
    expect(await b.writer.backup("two")).toMatchObject({ changed: 2 });
    expect(filesOfCommit(b.dir)).toEqual(filesOfWorld(b.member.store.world));
  });
});
