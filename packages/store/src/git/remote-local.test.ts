import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { noPace } from "../pace.ts";
import { consolidate } from "./consolidate.ts";
import { push } from "./remote.ts";
import { branch, Repository } from "./repository.ts";
import { cutHistory } from "./shallow.ts";
import { rowPath } from "./testing/story.ts";
import {
  backups,
  cleanUpAfterEach,
  environment,
  everything,
  folder,
  foreign,
  fsck,
  git,
  more,
  soon,
} from "./testing/remote-bench.ts";

cleanUpAfterEach();

describe("a push to a folder", { timeout: 60_000 }, () => {
  it("makes the repository where there is none, brings what is missing, and then nothing", async () => {
    const repository = await backups(5);
    const dir = join(folder(), "disk", "remote.git");
    const remote = { url: dir, credentials: null };
    const head = await repository.head();
    expect(await push(repository, remote, soon)).toMatchObject({ ok: true, pushed: head });
    expect(everything(dir)).toBe(everything(repository.dir));
    expect(fsck(dir)).toBe("");
    const work = join(folder(), "work");
    execFileSync("git", ["clone", "--quiet", dir, work], { env: environment });
    expect(readFileSync(join(work, rowPath(3)), "utf8")).toContain('"row_3"');
    expect(await push(repository, remote, soon)).toEqual({ ok: true, pushed: head, objects: 0, bytes: 0 });
    await more(repository, 5, 2);
    const sent = await push(repository, { ...remote, url: `file://${dir}` }, soon);
    expect(sent).toMatchObject({ ok: true });
    expect(sent.ok && sent.objects).toBeLessThan(60);
    expect(everything(dir)).toBe(everything(repository.dir));
    expect(readdirSync(join(dir, "objects/pack"))).toHaveLength(4);
    // what others are making is theirs, unless they have been gone for days
    for (const name of ["making-push-old", "making-push-new"]) writeFileSync(join(dir, "objects/pack", name), "");
    utimesSync(join(dir, "objects/pack/making-push-old"), 1_700_000_000, 1_700_000_000);
    await more(repository, 20, 1);
    expect(await push(repository, remote, soon)).toMatchObject({ ok: true });
    expect(readdirSync(join(dir, "objects/pack")).filter((name) => name.startsWith("making-"))).toEqual(["making-push-new"]);
    // also when all of ours has become one pack of deltas meanwhile
    await more(repository, 7, 3);
    await consolidate(repository, { pace: noPace, always: true });
    expect(await push(repository, remote, soon)).toMatchObject({ ok: true });
    expect(everything(dir)).toBe(everything(repository.dir));
    expect(fsck(dir)).toBe("");
  });

  it("goes on while packs become one", async () => {
    const repository = await backups(12);
    const dir = join(folder(), "remote.git");
    let rests = 0;
    const pace = {
      rest: async () =>
        void (rests++ === 0 && (await consolidate(await Repository.open(repository.dir), { pace: noPace, always: true }))),
    };
    // rests as soon as it may: after what it has listed, before it has opened it
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (rests === 0 ? Date.now() * 1_000 : Date.now()));
    const sent = await push(repository, { url: dir, credentials: null }, { ...soon, pace });
    clock.mockRestore();
    expect(sent).toMatchObject({ ok: true });
    expect(rests).toBeGreaterThan(0);
    expect(everything(dir)).toBe(everything(repository.dir));
  });

  it("overwrites nobody's commits unless that is asked for", async () => {
    const repository = await backups(3);
    const dir = join(folder(), "remote.git");
    const remote = { url: dir, credentials: null };
    await push(repository, remote, soon);
    const theirs = foreign(dir);
    await more(repository, 3, 1);
    expect(await push(repository, remote, soon)).toMatchObject({
      ok: false,
      kind: "diverged",
      why: expect.stringContaining(theirs.slice(0, 12)),
    });
    expect(git(dir, "rev-parse", "main").trim()).toBe(theirs);
    const forced = await push(repository, remote, { ...soon, force: true });
    expect(forced).toMatchObject({ ok: true, pushed: await repository.head() });
    // from where both were alike on
    expect(forced.ok && forced.objects).toBeLessThan(40);
    expect(everything(dir)).toBe(everything(repository.dir));
  });

  it("into what is no place for it is refused, and what is there is left alone", async () => {
    const repository = await backups(1);
    const full = folder();
    writeFileSync(join(full, "letters.txt"), "dear");
    const work = folder();
    execFileSync("git", ["init", "--quiet", work], { env: environment });
    const other = folder();
    execFileSync("git", ["init", "--quiet", "--bare", "--object-format=sha256", other], { env: environment });
    for (const [url, why] of [
      [other, "SHA-1"],
      [full, "not empty"],
      [work, "working copy"],
      ["", "no URL"],
      ["ftp://host/a", "no https address"],
      ["http://192.0.2.1/a.git", "no https address"],
    ] as const)
      expect(await push(repository, { url, credentials: null }, soon), url).toMatchObject({
        ok: false,
        kind: "refused",
        why: expect.stringContaining(why),
      });
    expect(readdirSync(full)).toEqual(["letters.txt"]);
    const file = join(folder(), "file");
    writeFileSync(file, "");
    expect(await push(repository, { url: join(file, "below"), credentials: null }, soon)).toMatchObject({
      ok: false,
      kind: "unreachable",
    });
    const empty = await Repository.create(join(folder(), "empty.git"));
    expect(await push(empty, { url: join(folder(), "x"), credentials: null })).toMatchObject({
      ok: false,
      why: expect.stringContaining("no backup yet"),
    });
  });

  it("that another writer holds the branch of is refused, and leaves nothing", async () => {
    const repository = await backups(2);
    const dir = join(folder(), "remote.git");
    await push(repository, { url: dir, credentials: null }, soon);
    await more(repository, 2, 1);
    writeFileSync(join(dir, `${branch}.lock`), "");
    expect(await push(repository, { url: dir, credentials: null }, soon)).toMatchObject({
      ok: false,
      kind: "refused",
      why: expect.stringContaining("somebody else is writing"),
    });
    expect(existsSync(join(dir, `${branch}.lock`))).toBe(true);
    expect(readdirSync(join(dir, "objects/pack")).some((name) => name.startsWith("making-"))).toBe(false);
  });

  it("of a history that was cut goes on where the other one has the rest, and is cut there too where it has not", async () => {
    const repository = await backups(6);
    const [dir, late] = [join(folder(), "early.git"), join(folder(), "late.git")];
    await push(repository, { url: dir, credentials: null }, soon);
    await more(repository, 6, 3);
    await cutHistory(repository, 3);
    await consolidate(repository, { pace: noPace, always: true });
    expect(await push(repository, { url: dir, credentials: null }, soon)).toMatchObject({ ok: true });
    expect(git(dir, "rev-list", "--count", "main").trim()).toBe("9");
    expect(fsck(dir)).toBe("");
    expect(await push(repository, { url: late, credentials: null }, soon)).toMatchObject({ ok: true });
    expect(git(late, "rev-list", "--count", "main").trim()).toBe("3");
    expect(fsck(late)).toBe("");
  });
});
