import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { mirror, MirrorFault, type MirrorSource } from "./mirror.ts";
import { RepositoryHome } from "./repository-home.ts";
import { commitOn } from "./testing/commit-on.ts";

const root = mkdtempSync(join(tmpdir(), "aether-mirror-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let homes = 0;
const newHome = (): RepositoryHome => new RepositoryHome(join(root, `${++homes}`, "backup.git"));
const packsOf = (home: RepositoryHome): string[] => readdirSync(join(home.dir, "objects/pack")).toSorted();

interface Watched extends MirrorSource {
  readonly fetched: string[];
}

/** Another member's repository; `change` says how its files come. */
function sourceOf(home: RepositoryHome, change: (name: string, bytes: Buffer) => Buffer = (_, bytes) => bytes): Watched {
  const fetched: string[] = [];
  return {
    fetched,
    listing: () => home.listing(true),
    read: async function* (name) {
      fetched.push(name);
      const bytes = change(name, await readFile(join(home.dir, "objects/pack", name)));
      for (let at = 0; at < bytes.length; at += 33) yield bytes.subarray(at, at + 33);
    },
  };
}

const run = async (to: RepositoryHome, source: MirrorSource) => mirror(to, source, await source.listing());

describe("a mirror", () => {
  it("becomes what the writer has, and fetches what is new, once", async () => {
    const [writer, member] = [newHome(), newHome()];
    const source = sourceOf(writer);
    expect(await run(member, source)).toEqual({ head: null, bytes: 0, aside: null });
    await commitOn(writer, "one");
    await run(member, source);
    source.fetched.length = 0;
    const head = await commitOn(writer, "two");
    const done = await run(member, source);
    expect(done).toMatchObject({ head, aside: null });
    expect(source.fetched).toHaveLength(2);
    expect(packsOf(member)).toEqual(packsOf(writer));
    expect((await (await member.repository()).commit(head)).message).toBe("two\n");
    expect(await run(member, source)).toEqual({ head, bytes: 0, aside: null });
  });

  it("drops packs that the writer has no longer, and follows where the history is cut off", async () => {
    const [writer, member] = [newHome(), newHome()];
    await commitOn(writer, "one");
    const [pack = "", index = ""] = packsOf(writer);
    await run(member, sourceOf(writer));
    const head = await commitOn(writer, "two");
    writeFileSync(join(writer.dir, "shallow"), `${head}\n`);
    for (const name of [pack, index]) rmSync(join(writer.dir, "objects/pack", name));
    await run(member, sourceOf(writer));
    expect(packsOf(member)).toEqual(packsOf(writer));
    expect(readFileSync(join(member.dir, "shallow"), "utf8")).toBe(`${head}\n`);
    const line: string[] = [];
    for await (const { oid } of (await member.repository()).log(9)) line.push(oid);
    expect(line).toEqual([head]);
  });

  it("takes nothing that did not come as it was written, and keeps what it had", async () => {
    const [writer, member] = [newHome(), newHome()];
    const head = await commitOn(writer, "one");
    await run(member, sourceOf(writer));
    const next = await commitOn(writer, "two");
    const flipped = (ending: string) => (name: string, bytes: Buffer) => {
      const copy = Buffer.from(bytes);
      if (name.endsWith(ending)) copy[20] = (copy[20] ?? 0) ^ 1;
      return copy;
    };
    const broken = [
      flipped(".pack"),
      flipped(".idx"),
      (_: string, bytes: Buffer) => bytes.subarray(1),
      (_: string, bytes: Buffer) => Buffer.concat([bytes, bytes]),
    ];
    for (const change of broken) {
      await expect(run(member, sourceOf(writer, change))).rejects.toThrow(MirrorFault);
      expect(await member.head()).toBe(head);
    }
    expect(await run(member, sourceOf(writer))).toMatchObject({ head: next });
  });

  it("refuses a listing of anything but packs", async () => {
    const member = newHome();
    const source = sourceOf(newHome());
    const head = "1".repeat(40);
    const pack = `pack-${head}`;
    const listings = [
      { head: "../../x", files: [] },
      { head, files: [{ name: "../config", bytes: 90 }] },
      { head, files: [{ name: `${pack}.keep`, bytes: 90 }] },
      { head, files: [{ name: `${pack}.pack`, bytes: 3 }] },
      { head, files: [], shallow: "x" },
      // its packs do not hold its head
      { head, files: [] },
    ];
    for (const listing of listings)
      await expect(mirror(member, source, { shallow: "", writes: true, ...listing })).rejects.toThrow(MirrorFault);
  });

  it("of a writer that was deposed loses only the commit that nobody else has", async () => {
    const [writer, member] = [newHome(), newHome()];
    await commitOn(writer, "one");
    await run(member, sourceOf(writer));
    const lost = await commitOn(member, "of the old leader");
    const head = await commitOn(writer, "of the new leader");
    expect(await run(member, sourceOf(writer))).toMatchObject({ head, aside: null });
    await expect((await member.repository()).commit(lost)).rejects.toThrow(/missing/);
  });

  it("whose own line is another is kept beside it, the newest two", async () => {
    const member = newHome();
    for (const round of [1, 2, 3]) {
      const writer = newHome();
      const head = await commitOn(writer, `a writer that began anew ${round}`);
      for (const text of ["a", "b"]) await commitOn(member, `${text}${round}`);
      const { aside } = await run(member, sourceOf(writer));
      expect(aside).toBe(`${member.dir}.aside-${round}`);
      expect(await member.head()).toBe(head);
    }
    expect(readdirSync(join(member.dir, "..")).toSorted()).toEqual(["backup.git", "backup.git.aside-2", "backup.git.aside-3"]);
  });

  it("that cannot be read is kept beside a new one", async () => {
    const [writer, member] = [newHome(), newHome()];
    const head = await commitOn(writer, "one");
    await run(member, sourceOf(writer));
    for (const name of packsOf(member)) writeFileSync(join(member.dir, "objects/pack", name), "torn");
    const restarted = new RepositoryHome(member.dir);
    expect(await run(restarted, sourceOf(writer))).toMatchObject({ head, aside: `${member.dir}.aside-1` });
  });
});
