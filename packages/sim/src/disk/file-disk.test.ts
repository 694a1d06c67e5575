import { describe, expect, it } from "vitest";
import type { FileFolder, OpenFile } from "@aether/store/file-folder";
import { makeStream } from "../world/stream.ts";
import { Process, World } from "../world/world.ts";
import { Device, type DeviceFaults } from "./device.ts";
import { FileDisk } from "./file-disk.ts";
import { sectorBytes } from "./sectors.ts";

const calm: DeviceFaults = { meanMs: 1, stallChance: 0, stallMs: 0, errorChance: 0, lies: false };
const seeds = 200;

interface Live {
  readonly disk: FileDisk;
  readonly folder: FileFolder;
  /** Lets the disk work until what is asked for is done. */
  readonly done: <T>(work: Promise<T>) => Promise<T>;
  readonly faults: { full?: boolean };
}

function start(seed: number): Live {
  const [world, disk, faults] = [new World(), new FileDisk(), {}];
  const device = new Device(world, new Process("n1"), () => ({ ...calm, ...faults }), makeStream(seed, "disk"));
  const done = async <T>(work: Promise<T>): Promise<T> => {
    let over = false;
    void work.then(
      () => (over = true),
      () => (over = true),
    );
    await world.run(
      Infinity,
      () => over,
      () => undefined,
    );
    return work;
  };
  return { disk, folder: disk.open(device, makeStream(seed, "files")), done, faults };
}

const putting = async (folder: FileFolder, name: string, text: string, sync: boolean): Promise<OpenFile> => {
  const file = await folder.open(name, "write");
  await file.write(Buffer.from(text));
  if (sync) await file.sync();
  return file;
};

/** Every file as "name=content", runs of a character told once, after a crash of each of many kinds. */
async function leftovers(write: (folder: FileFolder) => Promise<unknown>): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    const { disk, folder, done } = start(seed);
    await done(write(folder));
    disk.crash(makeStream(seed, "crash"));
    seen.add(await content(folder));
  }
  return seen;
}

async function content(folder: FileFolder): Promise<string> {
  const names = [...(await folder.list())].toSorted();
  const texts = names.map(async (name) => {
    const bytes = await (await folder.open(name, "read")).read(0, 1e6);
    return `${name}=${Buffer.from(bytes)
      .toString()
      .replaceAll("\0", ".")
      .replaceAll(/(.)\1+/g, "$1")}`;
  });
  return (await Promise.all(texts)).join(" ");
}

describe("a simulated folder of files after a crash", () => {
  it("holds what was synced under names that were synced, always", async () => {
    const left = await leftovers(async (folder) => {
      await putting(folder, "a", "one", true);
      await folder.rename("a", "b");
      await folder.sync();
    });
    expect([...left]).toEqual(["b=one"]);
  });

  it("may have forgotten a name that the folder was not synced for, or not", async () => {
    const left = await leftovers(async (folder) => {
      await putting(folder, "a", "x", true);
      await folder.sync();
      await folder.rename("a", "b");
    });
    expect([...left].toSorted()).toEqual(["a=x", "b=x"]);
  });

  it("may have made a later change of names and not an earlier one", async () => {
    const left = await leftovers(async (folder) => {
      await putting(folder, "a", "x", true);
      await putting(folder, "b", "y", true);
    });
    expect([...left].toSorted()).toEqual(["", "a=x", "a=x b=y", "b=y"]);
  });

  it("keeps, loses and tears un-synced sectors, and may be shorter", async () => {
    const left = await leftovers(async (folder) => {
      await putting(folder, "a", "", true);
      await folder.sync();
      const file = await folder.open("a", "append");
      await file.write(Buffer.alloc(2 * sectorBytes, "n"));
    });
    for (const one of ["a=n", "a=", "a=.", "a=.n", "a=n.", "a=.n."]) expect([...left]).toContain(one);
  });

  it("shows nothing of a write that a process died in, but may hold it after the crash", async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < seeds; seed++) {
      const { disk, folder, done } = start(seed);
      const file = await done(putting(folder, "a", "o", true));
      await done(folder.sync());
      void file.write(Buffer.from("n"));
      expect(await content(folder)).toBe("a=o");
      disk.crash(makeStream(seed, "crash"));
      seen.add(await content(folder));
    }
    for (const one of ["a=o", "a=on"]) expect([...seen]).toContain(one);
  });

  it("keeps a rotten bit, and only where it was asked for", async () => {
    const { disk, folder, done } = start(1);
    await done(putting(folder, "a.snap", "aaaa", true));
    await done(putting(folder, "b.part", "bbbb", true));
    await done(folder.sync());
    expect(disk.rot(".none", makeStream(1, "rot"))).toBe(false);
    expect(disk.rot(".snap", makeStream(1, "rot"))).toBe(true);
    const rotten = await content(folder);
    expect(rotten).not.toContain("a.snap=a ");
    expect(rotten).toContain("b.part=b");
    disk.crash(makeStream(1, "crash"));
    expect(await content(folder)).toBe(rotten);
  });

  it("takes some of what it has no room for, and still removes and renames", async () => {
    const sizes = new Set<number>();
    for (let seed = 0; seed < seeds; seed++) {
      const { folder, done, faults } = start(seed);
      const file = await done(putting(folder, "a", "", true));
      faults.full = true;
      await expect(done(file.write(Buffer.from("full")))).rejects.toThrow("ENOSPC");
      sizes.add(await file.size());
      await done(folder.rename("a", "b"));
      await done(folder.remove("b"));
      expect(await folder.list()).toEqual([]);
    }
    expect(sizes).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  it("says of a name whether it would outlast any crash", async () => {
    const { disk, folder, done } = start(1);
    const file = await done(putting(folder, "a-1.part", "x", false));
    await done(folder.rename("a-1.part", "a-1.snap"));
    const is = (): boolean => disk.isDurable((name) => name.startsWith("a-"));
    expect(is()).toBe(false);
    await done(folder.sync());
    expect(is()).toBe(false);
    await done(file.sync());
    expect(is()).toBe(true);
    expect(disk.isDurable((name) => name.startsWith("b-"))).toBe(false);
  });
});

describe("files that are not what was written to them", () => {
  it("are known by name, and by the name under which that happened", async () => {
    const { disk, folder, done } = start(1);
    await done(putting(folder, "in.part", "some bytes", true));
    await done(putting(folder, "sound.snap", "others", true));
    expect(disk.damaged()).toEqual(new Map());
    expect(disk.rot(".part", makeStream(1, "rot"))).toBe(true);
    await done(folder.rename("in.part", "in.snap"));
    expect(disk.damaged()).toEqual(new Map([["in.snap", "in.part"]]));
    expect(disk.clone().damaged()).toEqual(new Map([["in.snap", "in.part"]]));
    await done(putting(folder, "in.snap", "written anew", true));
    expect(disk.damaged()).toEqual(new Map());
  });

  it("come of a crash only where sectors were torn: a beginning is what was written so far", async () => {
    const counts = { damaged: 0, whole: 0 };
    for (let seed = 0; seed < seeds; seed++) {
      const { disk, folder, done } = start(seed);
      const text = "x".repeat(3 * sectorBytes);
      await done(putting(folder, "a.part", text, false));
      await done(folder.sync());
      disk.crash(makeStream(seed, "crash"));
      const file = await folder.open("a.part", "read");
      const left = Buffer.from(await file.read(0, 1e6)).toString();
      expect(disk.damaged().has("a.part")).toBe(!text.startsWith(left));
      counts[disk.damaged().has("a.part") ? "damaged" : "whole"] += 1;
    }
    expect(Math.min(counts.damaged, counts.whole)).toBeGreaterThan(seeds / 10);
  });
});
