import { filesOf } from "@aether/core/backup/thing-files";
import type { Command } from "@aether/core/kernel/command";
import type { World } from "@aether/core/kernel/world";
import { registry } from "@aether/core/registry";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { apply, begin, gone, stage, wish } from "../events/testing/restoring.ts";
import { commitOf, entriesOf, treeOf } from "../git/object.ts";
import type { EventStore } from "../types.ts";
import type { BackupReader } from "./backup-reader.ts";
import { indexAt, worldAt, type MomentFound } from "./moment.ts";
import { BackedUp } from "./testing/backed-up.ts";
import { QuickPack } from "../git/testing/quick-pack.ts";

const open: BackedUp[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.end();
});

async function started(): Promise<BackedUp> {
  const b = await BackedUp.start();
  open.push(b);
  return b;
}

/** All that a backup would hold of the world, by path. */
const filesIn = (world: World): Map<string, string> =>
  new Map(
    registry.nouns.flatMap((noun) =>
      [...world.all(noun.name)].flatMap((stored) => filesOf(noun, stored).map(({ path, text }) => [path, text] as const)),
    ),
  );

const at = async (b: BackedUp, index: number, reader?: BackupReader | null): Promise<MomentFound> =>
  worldAt({ registry, store: b.member.store, reader: reader === undefined ? await b.reader() : reader }, index);

function found(moment: MomentFound): MomentFound & { ok: true } {
  if (!moment.ok) throw new Error(moment.why);
  return moment;
}

function value(moment: MomentFound, id: string): unknown {
  return found(moment).world.get<{ value: unknown }>("setting", id)?.row.value;
}

/** Settings app/x of 0, 1, 2, … each in an entry of its own; gives the index of the first. */
async function counted(b: BackedUp, count: number): Promise<number> {
  const first = b.member.store.applied + 1;
  for (let i = 0; i < count; i++) await b.set("app/x", i);
  return first;
}

describe("a moment", () => {
  it("is made from the log alone while that is whole, and from a backup and the log after it when it is not", async () => {
    const b = await started();
    const first = await counted(b, 10);
    const alone = await at(b, first + 3, null);
    expect(alone).toMatchObject({ ok: true, base: null, index: first + 3 });
    expect(value(alone, "app/x")).toBe(3);
    const { commit } = (await b.writer.backup("test")) ?? { commit: "" };
    const backedUp = b.member.store.applied;
    const second = await counted(b, 10);
    await b.member.compact(backedUp);
    const later = found(await at(b, second + 4));
    expect(later).toMatchObject({ base: commit, index: second + 4 });
    expect(value(later, "app/x")).toBe(4);
    expect(await b.member.store.entries(second + 4, 1)).toMatchObject({ entries: [{ at: later.at }] });
    // of the backup itself, which needs no entry
    expect(found(await at(b, backedUp))).toMatchObject({
      base: commit,
      at: (await b.reader().then((r) => r.manifest(commit))).at,
    });
    expect(await at(b, first + 3)).toMatchObject({
      ok: false,
      why: expect.stringContaining(`no backup and no log leads to index ${first + 3}`),
      ranges: [{ from: backedUp, to: b.member.store.applied }],
    });
    expect(await at(b, first + 3, null)).toMatchObject({ ok: false, ranges: [] });
  });

  it("that never was is refused with what there is", async () => {
    const b = await started();
    const { applied } = b.member.store;
    for (const index of [0, -1, 1.5, applied + 1])
      expect(await at(b, index, null)).toMatchObject({ ok: false, ranges: [{ from: 1, to: applied }] });
  });

  it("of a backup that the log does not lead on from any more is had all the same, and no other one before the log", async () => {
    const b = await started();
    await counted(b, 3);
    await b.writer.backup("test");
    const old = b.member.store.applied;
    await counted(b, 5);
    await b.writer.backup("test");
    const newer = b.member.store.applied;
    await counted(b, 5);
    await b.member.compact(newer);
    expect(value(await at(b, old), "app/x")).toBe(2);
    const ranges = [
      { from: old, to: old },
      { from: newer, to: b.member.store.applied },
    ];
    expect(await at(b, old + 1)).toMatchObject({ ok: false, ranges });
  });

  it("is not made from a backup of another log whose numbers happen to fit", async () => {
    const [b, other] = [await started(), await started()];
    await counted(b, 4);
    await other.set("app/x", "of the other");
    await other.writer.backup("test");
    await b.member.compact(other.member.store.applied);
    const moment = await at(b, other.member.store.applied + 1, await other.reader());
    expect(moment).toMatchObject({ ok: false, why: expect.stringContaining("of another cluster") });
  });

  it("is not made from a backup that was edited, but from the one before it", async () => {
    const b = await started();
    await counted(b, 2);
    const good = await b.writer.backup("test");
    await counted(b, 4);
    const bad = await b.writer.backup("test");
    const { repository } = await b.reader();
    const older = await repository.commit(good?.commit ?? "");
    const newer = await repository.commit(bad?.commit ?? "");
    // the manifest of one commit and the settings of another
    const writer = new QuickPack(repository.packFolder);
    const old = entriesOf(await repository.read(older.tree)).find(({ name }) => name === "settings");
    const entries = entriesOf(await repository.read(newer.tree)).map((entry) =>
      entry.name === "settings" && old !== undefined ? old : entry,
    );
    const tree = writer.add(treeOf(entries));
    const edited = writer.add(commitOf({ ...newer, tree, parents: [bad?.commit ?? ""] }));
    await writer.finish();
    await repository.moveHead(bad?.commit ?? "", edited);
    await b.member.compact(good?.index ?? 0);
    const moment = found(await at(b, b.member.store.applied));
    expect(moment.base).toBe(bad?.commit);
    expect(value(moment, "app/x")).toBe(3);
  });

  it("after a restore that was being staged when the backup was made, is made from the backup before", async () => {
    const b = await started();
    await b.set("app/a", 1);
    await b.set("app/b", 1);
    const before = await b.writer.backup("before");
    for (const command of [begin("r1", 2, 2), stage("r1", 1, [wish("app/a", 1, 9)])]) await b.ask(command);
    await b.set("app/c", 1);
    const amid = await b.writer.backup("amid");
    await b.ask(stage("r1", 2, [gone("app/b", 1)]));
    const staged = b.member.store.applied;
    await b.ask(apply("r1"));
    await b.member.compact(before?.index ?? 0);
    const after = found(await at(b, b.member.store.applied));
    expect(after.base).toBe(before?.commit);
    expect(filesIn(after.world)).toEqual(filesIn(b.member.store.world));
    // what was staged and not applied had no effect: the newer backup will do
    expect(found(await at(b, staged)).base).toBe(amid?.commit);
    await b.member.compact(amid?.index ?? 0);
    expect(await at(b, b.member.store.applied)).toMatchObject({
      ok: false,
      why: expect.stringContaining("RestoreApplied of r1"),
    });
  });

  it("is what it was, whatever happened, was backed up and was forgotten", async () => {
    const names = ["app/a", "app/b", "app/c", "cpu_warning"];
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant("set" as const),
          name: fc.constantFrom(...names),
          to: fc.integer({ min: 1, max: 70 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), name: fc.constantFrom(...names) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constantFrom("drain" as const, "undrain" as const),
          name: fc.constantFrom("n1", "n2", "n3"),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constantFrom("begin" as const, "stage 1" as const, "stage 2" as const, "apply" as const) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("back up" as const) }) },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant("compact" as const), part: fc.integer({ min: 1, max: 10 }) }),
      },
    );
    let made = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 45 }), async (steps) => {
        const b = await BackedUp.start();
        try {
          const { store } = b.member;
          const then = new Map<number, Map<string, string>>();
          let restoration = 0;
          const versionOf = (id: string): number => store.world.get("setting", id)?.version ?? 0;
          const commands = (each: (typeof steps)[number]): Command | null => {
            if (each.do === "set")
              return { type: "SetSetting", id: each.name, value: each.name === "cpu_warning" ? each.to / 100 : each.to };
            if (each.do === "remove") return { type: "RemoveSetting", id: each.name };
            if (each.do === "drain") return { type: "DrainNode", id: each.name, reason: "test" };
            if (each.do === "undrain") return { type: "UndrainNode", id: each.name };
            if (each.do === "begin") return begin(`r${++restoration}`, 2, 2);
            if (each.do === "stage 1") return stage(`r${restoration}`, 1, [wish("app/a", versionOf("app/a"), restoration)]);
            if (each.do === "stage 2")
              return stage(`r${restoration}`, 2, [
                versionOf("app/b") === 0 ? wish("app/b", 0, 1) : gone("app/b", versionOf("app/b")),
              ]);
            return each.do === "apply" ? apply(`r${restoration}`) : null;
          };
          for (const each of steps) {
            const command = commands(each);
            // one that is refused changes nothing: also that is a part of the story
            if (command !== null) await b.member.ask(command);
            else if (each.do === "back up") await b.writer.backup("test");
            else if (each.do === "compact") {
              const { first } = store.stats();
              await b.member.compact(first - 1 + Math.floor((store.applied - first) * (each.part / 10)));
            }
            then.set(store.applied, filesIn(store.world));
          }
          const reader = await b.reader();
          for (const [index, files] of then) {
            const moment = await at(b, index, reader);
            if (moment.ok) {
              made++;
              expect(filesIn(moment.world)).toEqual(files);
              continue;
            }
            const promised = moment.ranges.some(({ from, to }) => from <= index && index <= to);
            // only a restore that was amid being staged keeps a moment from being had that the log leads to
            if (promised) expect(moment.why).toContain("RestoreApplied");
          }
        } finally {
          await b.end();
        }
      }),
      { numRuns: 12 },
    );
    // how many of each is by chance, and what is refused has stories of its own above
    expect(made).toBeGreaterThan(10);
  }, 120_000);
});

describe("the index at a time", () => {
  it("is that of the last entry at or before it, as far as the log is held", async () => {
    const b = await started();
    await counted(b, 40);
    const { store } = b.member;
    const page = await store.entries(1, 1_000);
    if ("compacted" in page) throw new Error("nothing was compacted");
    const timed = page.entries.filter((entry) => entry.at !== 0);
    for (const { index, at: time } of timed) {
      const last = page.entries.findLast((entry) => entry.at === time)?.index ?? index;
      expect(await indexAt(store, time)).toBe(last);
      expect(await indexAt(store, time + 0.5)).toBe(last);
    }
    const newest = page.entries.at(-1)?.at ?? 0;
    expect(await indexAt(store, newest + 1_000_000)).toBe(store.applied);
    expect(await indexAt(store, (timed[0]?.at ?? 0) - 1)).toBeNull();
    await b.member.compact(20);
    expect(await indexAt(store, page.entries[10]?.at ?? 0)).toBeNull();
    expect(await indexAt(store, page.entries[20]?.at ?? 0)).toBe(21);
  });

  it("is never that of an entry of consensus, which has no time, wherever they lie", async () => {
    const change = fc.record({ consensus: fc.boolean(), later: fc.integer({ min: 0, max: 3 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 40 }),
        async (changes, time) => {
          let now = 5;
          const entries = changes.map(({ consensus, later }, i) => {
            now += later;
            return { index: i + 1, at: consensus ? 0 : now };
          });
          const read = (from: number, limit: number) => Promise.resolve({ entries: entries.slice(from - 1, from - 1 + limit) });
          const store = { applied: entries.length, stats: () => ({ first: 1 }), entries: read } as unknown as EventStore;
          const wanted = entries.findLast((entry) => entry.at !== 0 && entry.at <= time)?.index ?? null;
          expect(await indexAt(store, time)).toBe(wanted);
        },
      ),
    );
  });
});
