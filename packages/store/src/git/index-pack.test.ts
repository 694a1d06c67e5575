import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { fileFolder, withFile } from "../file-folder.ts";
import { noPace } from "../pace.ts";
import { consolidate } from "./consolidate.ts";
import { indexPack } from "./index-pack.ts";
import { ObjectDamaged } from "./object.ts";
import { OidTable } from "./oid-table.ts";
import { PackIndex } from "./pack-index.ts";
import { writeIndex } from "./pack-index-writer.ts";
import { Repository } from "./repository.ts";
import { Steps } from "./steps.ts";
import { rowPath, rowText, startStory } from "./testing/story.ts";
import { unsynced } from "./testing/unsynced.ts";
import type { Transfer } from "./transfer.ts";

const folders: string[] = [];
afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "aether-index-pack-"));
  folders.push(dir);
  return dir;
}

const environment = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
const git = (dir: string, ...args: string[]): string =>
  execFileSync("git", ["-C", dir, ...args], { encoding: "utf8", env: environment, stdio: ["ignore", "pipe", "pipe"] });
const steps = new Steps(noPace);
const transfer: Transfer = { steps, signal: new AbortController().signal, onProgress: () => undefined };

/** Forty rows and a dozen commits, in one pack that git has made; its deltas say their bases by name if asked for. */
async function packedByGit(byName: boolean): Promise<{ repository: Repository; pack: string }> {
  const dir = join(folder(), "a.git");
  const repository = await Repository.create(dir, unsynced(dir));
  const story = await startStory(repository);
  for (let n = 0; n < 12; n++)
    await story.commit(
      Array.from({ length: n === 0 ? 40 : 4 }, (_, i) => [rowPath((n * 3 + i) % 40), rowText((n * 3 + i) % 40, n)]),
    );
  git(dir, "-c", `repack.useDeltaBaseOffset=${String(!byName)}`, "repack", "-adfq");
  const name = readdirSync(join(dir, "objects/pack")).find((each) => each.endsWith(".pack")) ?? "";
  return { repository, pack: join(dir, "objects/pack", name) };
}

/** The index that we make of a copy of the pack. */
async function indexed(bytes: Buffer): Promise<Buffer> {
  const dir = folder();
  writeFileSync(join(dir, "x.pack"), bytes);
  await indexPack(fileFolder(dir), "x", bytes.subarray(-20), transfer);
  return readFileSync(join(dir, "x.idx"));
}

describe("a pack that came from elsewhere", { timeout: 60_000 }, () => {
  it("is indexed as git does it, whether deltas say where their bases are or which", async () => {
    for (const byName of [false, true]) {
      const { pack } = await packedByGit(byName);
      const ours = await indexed(readFileSync(pack));
      expect(ours.equals(readFileSync(pack.replace(/pack$/, "idx"))), String(byName)).toBe(true);
    }
  });

  it("is refused when any byte of it is another", async () => {
    const { pack } = await packedByGit(false);
    const sound = readFileSync(pack);
    const idx = readFileSync(pack.replace(/pack$/, "idx"));
    for (let at = 0; at < sound.length - 20; at += 97) {
      const altered = Buffer.from(sound);
      altered[at] = (altered[at] as number) ^ (1 << (at % 8));
      // what is still a pack holds other objects: then nobody finds in it what he looks for
      const made = await indexed(altered).catch((error: unknown) => error);
      if (Buffer.isBuffer(made)) expect(made.equals(idx), `byte ${at}`).toBe(false);
      else expect(made, `byte ${at}`).toBeInstanceOf(ObjectDamaged);
    }
    for (const length of [0, 11, 12, 40, sound.length - 21])
      await expect(indexed(sound.subarray(0, length))).rejects.toThrow(ObjectDamaged);
  });

  it("whose deltas name their bases goes into the next consolidation like any other", async () => {
    const { repository } = await packedByGit(true);
    const { dir } = repository;
    await repository.refresh();
    const story = await startStory(repository);
    await story.commit(Array.from({ length: 9 }, (_, i) => [rowPath(i), rowText(i, 99)]));
    const before = git(dir, "log", "--raw", "-r", "--no-abbrev", "--format=%H %T");
    expect(await consolidate(repository, { pace: noPace, always: true })).toMatchObject({ packsBefore: 2, packs: 1 });
    expect(git(dir, "log", "--raw", "-r", "--no-abbrev", "--format=%H %T")).toBe(before);
    expect(git(dir, "fsck", "--strict", "--full")).toBe("");
  });
});

describe("an index of a pack", () => {
  it("says where objects begin, however far, and git's limit of four bytes is no limit", async () => {
    const offsets = [12, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 9_000_000_000_123];
    const objects = offsets.map((offset, i) => ({ name: Buffer.alloc(20, (i * 83) % 256), offset, crc: i * 7 }));
    const dir = folder();
    const pack = Buffer.alloc(20, 9);
    const parts = {
      size: objects.length,
      nameAt: (i: number) => objects[i]?.name ?? pack,
      offsetAt: (i: number) => objects[i]?.offset ?? 0,
      crcAt: (i: number) => objects[i]?.crc ?? 0,
    };
    const bytes = await withFile(fileFolder(dir), "x.idx", "write", (file) => writeIndex(file, parts, pack, steps));
    const index = new PackIndex(readFileSync(join(dir, "x.idx")));
    expect([index.bytes.length, index.count, index.pack.equals(pack)]).toEqual([bytes, objects.length, true]);
    for (const { name, offset } of objects) expect(index.find(name.toString("hex"))).toBe(offset);
    const crcs = new Map([...index.all()].map(({ oid, crc }) => [oid, crc]));
    for (const { name, crc } of objects) expect(crcs.get(name.toString("hex"))).toBe(crc);
  });
});

describe("a table of names", () => {
  it("numbers them as they come, each once, however many", () => {
    const table = new OidTable();
    const name = (i: number): Buffer => Buffer.from(`${i}`.padStart(8, "0").repeat(5), "hex");
    for (let i = 0; i < 5_000; i++) expect(table.add(name(i))).toBe(i);
    expect(table.add(name(17))).toBe(17);
    expect(table.size).toBe(5_000);
    for (let i = 0; i < 5_000; i += 7) expect([table.find(name(i)), table.nameAt(i).equals(name(i))]).toEqual([i, true]);
    expect(table.findOid("f".repeat(40))).toBe(-1);
  });
});
