import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { openFileFolder } from "../file-folder.ts";
import { applyDelta, makeDelta } from "./delta.ts";
import { commitOf, entriesOf, type GitObject, ObjectDamaged, oidOf, parseCommit, treeOf } from "./object.ts";
import { PackFile } from "./pack-file.ts";
import { PackIndex } from "./pack-index.ts";
import { noPace } from "../pace.ts";
import { deflated } from "./compress.ts";
import { PackBuilder } from "./pack-builder.ts";
import { kindCodes } from "./pack-format.ts";
import { Steps } from "./steps.ts";
import { QuickPack } from "./testing/quick-pack.ts";

const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true });
});

/** A bare repository that git itself made. */
function repository(): { dir: string; git: (...args: string[]) => string; packs: string } {
  const dir = mkdtempSync(join(tmpdir(), "aether-git-"));
  folders.push(dir);
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
  const git = (...args: string[]): string =>
    execFileSync("git", ["-C", dir, ...args], { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] });
  git("init", "--quiet", "--bare", "--initial-branch=main");
  return { dir, git, packs: join(dir, "objects/pack") };
}

const text = (value: string): GitObject => ({ kind: "blob", bytes: Buffer.from(value) });
const nowhere = (): Promise<null> => Promise.resolve(null);

/** Three commits over a folder of files, of which each changes some. */
function story(write: (object: GitObject) => string): { head: string; files: Map<string, Buffer> } {
  const files = new Map<string, Buffer>();
  let parents: string[] = [];
  for (let round = 0; round < 3; round++) {
    for (let i = round; i < 40; i += round + 1)
      files.set(`row-${i}.json`, Buffer.from(JSON.stringify({ i, round, fill: "x".repeat(i * 50) })));
    const entries = [...files].map(([name, bytes]) => ({ name, kind: "blob" as const, oid: write({ kind: "blob", bytes }) }));
    const inner = write(treeOf(entries));
    const tree = write(
      treeOf([
        { name: "rows", kind: "tree", oid: inner },
        { name: "rows.txt", kind: "blob", oid: write(text(`round ${round}\n`)) },
        { name: "rows-of", kind: "blob", oid: write(text("")) },
      ]),
    );
    const commit = {
      tree,
      parents,
      by: "aether <aether@localhost>",
      at: 1_700_000_000 + round,
      message: `round ${round}\n\nwhy: ü`,
    };
    parents = [write(commitOf(commit))];
  }
  return { head: parents[0] ?? "", files };
}

/** Gives the object's number in the pack. */
function putWhole(builder: PackBuilder, object: GitObject): number {
  const { length } = object.bytes;
  return builder.put(Buffer.from(oidOf(object), "hex"), kindCodes[object.kind], length, deflated(object.bytes, 6));
}

/** The same; `base`: the number of the object that it is a delta against. */
function putDelta(builder: PackBuilder, object: GitObject, base: number, against: GitObject): number {
  const delta = makeDelta(against.bytes, object.bytes);
  return builder.putDelta(Buffer.from(oidOf(object), "hex"), base, delta.length, deflated(delta, 6));
}

describe("a pack that was written", () => {
  it("is sound to git, which reads from it what was put in", async () => {
    const { git, packs } = repository();
    const writer = new QuickPack(await openFileFolder(packs));
    const { head, files } = story((object) => writer.add(object));
    const made = await writer.finish();
    git("update-ref", "refs/heads/main", head);
    expect(git("fsck", "--strict", "--full", "--no-dangling")).toBe("");
    git("verify-pack", join(packs, `${made?.name}.pack`));
    expect(git("log", "--format=%s|%an|%ct")).toBe(
      "round 2|aether|1700000002\nround 1|aether|1700000001\nround 0|aether|1700000000\n",
    );
    for (const [name, bytes] of files) expect(git("show", `main:rows/${name}`)).toBe(bytes.toString());
    expect(readdirSync(packs).toSorted()).toEqual([`${made?.name}.idx`, `${made?.name}.pack`]);
  });

  it("is the same pack when it went over the disk on the way, and large objects are in it", async () => {
    const { git, packs } = repository();
    const folder = await openFileFolder(packs);
    const objects = Array.from({ length: 30 }, (_, i) => text(`${i} `.repeat(60_000 + i)));
    const names: string[] = [];
    for (const spilling of [false, true]) {
      const writer = new QuickPack(folder);
      for (const object of objects) {
        writer.add(object);
        writer.add(object);
        if (spilling) await writer.spill();
      }
      names.push((await writer.finish())?.name ?? "");
    }
    expect(names[0]).toBe(names[1]);
    const pack = await PackFile.open(folder, names[0] ?? "");
    for (const object of objects) expect((await pack.read(oidOf(object), nowhere))?.bytes).toEqual(object.bytes);
    expect(git("fsck", "--full", "--unreachable").split("\n").length).toBe(31);
  });

  it("with deltas is sound to git and to us", async () => {
    const { git, packs } = repository();
    const folder = await openFileFolder(packs);
    const builder = new PackBuilder(folder, "test", 0);
    const versions = Array.from({ length: 30 }, (_, i) =>
      text(JSON.stringify({ rows: Array.from({ length: 40 }, (_r, n) => `row ${n} ${n === i ? "changed" : "same"}`) })),
    );
    let base = putWhole(builder, versions[0]!);
    for (const [i, version] of versions.entries()) if (i > 0) base = putDelta(builder, version, base, versions[i - 1]!);
    const made = await builder.finish(new Steps(noPace));
    expect(made?.bytes).toBeLessThan(4_096);
    expect(git("verify-pack", "-v", join(packs, `${made?.name}.pack`))).toContain("chain length = 29: 1 object");
    const pack = await PackFile.open(folder, made?.name ?? "");
    for (const version of versions) {
      expect((await pack.read(oidOf(version), nowhere))?.bytes).toEqual(version.bytes);
      expect(git("cat-file", "blob", oidOf(version))).toBe(Buffer.from(version.bytes).toString());
    }
  });

  it("that git packed anew, with deltas of its own, is read as well", async () => {
    const { git, packs } = repository();
    const folder = await openFileFolder(packs);
    const writer = new QuickPack(folder);
    const all = new Map<string, GitObject>();
    const { head } = story((object) => {
      const oid = writer.add(object);
      all.set(oid, object);
      return oid;
    });
    await writer.finish();
    git("update-ref", "refs/heads/main", head);
    git("gc", "--quiet", "--aggressive", "--prune=now");
    const [name = ""] = readdirSync(packs).flatMap((file) => (file.endsWith(".pack") ? [file.slice(0, -5)] : []));
    const pack = await PackFile.open(folder, name);
    expect(pack.index.count).toBe(all.size);
    for (const [oid, object] of all)
      expect(await pack.read(oid, nowhere)).toEqual({ kind: object.kind, bytes: Buffer.from(object.bytes) });
    expect(await pack.read("0".repeat(40), nowhere)).toBeNull();
  });

  it("is never read wrongly, whatever byte of it is altered", async () => {
    const { packs } = repository();
    const folder = await openFileFolder(packs);
    const builder = new PackBuilder(folder, "test", 0);
    const rows = Array.from({ length: 5 }, (_, i) => text(`row ${i} ${"abc".repeat(i)}`));
    for (const row of rows) putWhole(builder, row);
    const base = text("row 1 and some more of what there is");
    const over = text("row 1 and some more of what there was");
    putDelta(builder, over, putWhole(builder, base), base);
    const oids = [...rows, base, over].map(oidOf);
    const name = (await builder.finish(new Steps(noPace)))?.name ?? "";
    for (const ending of ["pack", "idx"]) {
      const file = join(packs, `${name}.${ending}`);
      const sound = readFileSync(file);
      let noticed = 0;
      for (let at = 0; at < sound.length; at++) {
        const altered = Buffer.from(sound);
        altered[at] = (altered[at] as number) ^ (1 << (at % 8));
        writeFileSync(file, altered);
        try {
          const pack = await PackFile.open(folder, name);
          for (const oid of oids) {
            const object = await pack.read(oid, nowhere);
            if (object === null) throw new ObjectDamaged("it is not there");
            expect(oidOf(object)).toBe(oid);
          }
        } catch (error) {
          expect(error, `byte ${at}`).toBeInstanceOf(ObjectDamaged);
          noticed++;
        }
      }
      writeFileSync(file, sound);
      // A byte of the pack that changes nothing that is read: the version, and what zlib does not look at.
      expect(noticed).toBeGreaterThan(sound.length * 0.85);
    }
  });

  it("that nobody finished is no pack", async () => {
    const { git, packs } = repository();
    const writer = new QuickPack(await openFileFolder(packs));
    writer.add(text("a"));
    await writer.spill();
    expect(git("count-objects", "-v")).toMatch(/packs: 0/);
    expect(readdirSync(packs).every((file) => file.startsWith("making-"))).toBe(true);
    expect(await new QuickPack(await openFileFolder(packs)).finish()).toBeNull();
  });
});

describe("a delta", () => {
  it("makes the target of its base, whatever they are, and is short where they are alike", () => {
    const piece = fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.constant(Buffer.from("the same line of text again and again\n")));
    const bytes = fc.array(piece, { maxLength: 30 }).map((parts) => Buffer.concat(parts));
    fc.assert(
      fc.property(bytes, bytes, fc.nat(), (base, other, cut) => {
        const target = Buffer.concat([base.subarray(0, cut % (base.length + 1)), other, base.subarray(cut % (base.length + 1))]);
        const delta = makeDelta(base, target);
        expect(applyDelta(base, delta)).toEqual(target);
        if (base.length > 1_000) expect(delta.length).toBeLessThan(other.length * 1.1 + 200);
      }),
    );
    const far = Buffer.alloc(300_000, "abcdefghijklmnopqrstuvwxyz0123456789");
    expect(applyDelta(far, makeDelta(far, far))).toEqual(far);
  });

  it("of another base, or cut, is refused", () => {
    const base = Buffer.from("0123456789abcdefghijklmnop".repeat(4));
    const delta = makeDelta(base, Buffer.concat([base, Buffer.from("more")]));
    expect(() => applyDelta(base.subarray(1), delta)).toThrow(ObjectDamaged);
    for (let length = 0; length < delta.length; length++)
      expect(() => applyDelta(base, delta.subarray(0, length))).toThrow(ObjectDamaged);
  });
});

describe("objects", () => {
  it("are named and ordered as git does it", () => {
    const { git, dir } = repository();
    writeFileSync(join(dir, "blob"), "hello\n");
    expect(oidOf(text("hello\n"))).toBe(git("hash-object", join(dir, "blob")).trim());
    expect(oidOf({ kind: "blob", bytes: Buffer.alloc(100_000, 7) })).toMatch(/^[0-9a-f]{40}$/);
    expect(oidOf(treeOf([]))).toBe("4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    const oid = oidOf(text(""));
    const names = ["a", "a.b", "a-b", "ab", "ä", "Z"];
    const entries = names.map((name, i) => ({ name, oid, kind: i % 2 === 0 ? ("tree" as const) : ("blob" as const) }));
    const back = entriesOf(treeOf(entries));
    expect(back.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
  });

  it("that are something else are refused", () => {
    expect(() => entriesOf(text("x"))).toThrow(ObjectDamaged);
    expect(() => parseCommit(text("x"))).toThrow(ObjectDamaged);
    expect(() => parseCommit({ kind: "commit", bytes: Buffer.from("tree x\n\nhm") })).toThrow(ObjectDamaged);
    expect(() => new PackIndex(Buffer.alloc(2_000))).toThrow(ObjectDamaged);
    const tree = treeOf([{ name: "a", kind: "blob", oid: oidOf(text("")) }]).bytes;
    for (let cut = 1; cut < tree.length; cut++)
      expect(() => entriesOf({ kind: "tree", bytes: tree.subarray(0, cut) })).toThrow(ObjectDamaged);
    const link = Buffer.concat([Buffer.from("120000 a\0"), Buffer.alloc(20)]);
    expect(() => entriesOf({ kind: "tree", bytes: link })).toThrow(/mode 120000/);
  });

  it("commits come back as they went in", () => {
    const commit = {
      tree: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
      parents: ["1".repeat(40)],
      by: "aether <a@b>",
      at: 17,
      message: "x\n\ny\n",
    };
    expect(parseCommit(commitOf(commit))).toEqual(commit);
  });
});
