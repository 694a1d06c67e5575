import type { RecordedEntry } from "@aether/core/kernel/event";
import { afterEach, describe, expect, it } from "vitest";
import type { Compacted, EntriesPage, Watch, WatchOptions } from "../types.ts";
import { OneMember, carry } from "./testing/one-member.ts";
import { watchesMax } from "./watches.ts";

let member: OneMember;
const leading = async (): Promise<OneMember> => {
  member = await OneMember.start();
  member.lead();
  return member;
};
const page = (p: EntriesPage | Compacted): EntriesPage => p as EntriesPage;
const indexes = (entries: readonly { index: number }[]): number[] => entries.map(({ index }) => index);
const turns = async (n = 20): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const watching = (
  from: number,
  more: Partial<WatchOptions> = {},
): { seen: RecordedEntry[]; batches: number[][]; ends: unknown[]; watch: Watch } => {
  const seen: RecordedEntry[] = [];
  const batches: number[][] = [];
  const ends: unknown[] = [];
  const watch = member.store.watch({
    from,
    onEntries: (entries) => {
      seen.push(...entries);
      batches.push(indexes(entries));
      return true;
    },
    onEnd: (...why) => ends.push(why),
    ...more,
  });
  return { seen, batches, ends, watch };
};

afterEach(() => member.end());

describe("a watch", () => {
  it("sees every entry once and in order, from the past into what is applied later", async () => {
    await leading();
    member.fill(700);
    member.commit();
    const { seen } = watching(5);
    member.fill(50);
    member.commit();
    await turns();
    member.fill(50);
    member.commit();
    expect(indexes(seen)).toEqual(range(5, 801));
    expect(seen).toEqual(page(await member.store.entries(5, 1_000)).entries);
  });

  it("of the future begins there", async () => {
    await leading();
    const { seen } = watching(20);
    await turns();
    member.fill(30);
    member.commit();
    expect(indexes(seen)).toEqual(range(20, 31));
  });

  it("of a thing sees whole entries about it, and no others", async () => {
    await leading();
    member.fill(40, 4);
    member.commit();
    const { seen } = watching(1, { thing: "box/b1" });
    await turns();
    await member.ask({ type: "MoveAll", id: "b2", to: "b1" });
    await member.ask({ type: "FillBox", id: "b3", content: 0 });
    expect(seen.every(({ events }) => events.some(({ id }) => id === "b1"))).toBe(true);
    expect(indexes(seen)).toEqual(await member.store.history("box", "b1", 1, 1_000));
    expect(seen.at(-1)?.events).toHaveLength(2);
  });

  it("that is paused misses nothing: it reads on from the log", async () => {
    await leading();
    const got: number[] = [];
    let room = 3;
    const { watch } = watching(1, {
      onEntries: (entries) => {
        got.push(...indexes(entries));
        return --room > 0;
      },
    });
    for (let round = 0; round < 6; round++) {
      member.fill(300);
      member.commit();
      await turns(3);
    }
    expect(got.length).toBeLessThan(1_801);
    for (let i = 0; i < 20; i++) {
      room = 1;
      watch.resume();
      await turns(2);
    }
    expect(got).toEqual(range(1, 1_801));
  });

  it("that resumes where another ended sees the rest", async () => {
    await leading();
    member.fill(30);
    member.commit();
    const first = watching(1);
    await turns();
    first.watch.cancel();
    member.fill(30);
    member.commit();
    const second = watching((first.seen.at(-1)?.index ?? 0) + 1);
    await turns();
    expect(indexes([...first.seen, ...second.seen])).toEqual(range(1, 61));
    expect(first.ends).toEqual([]);
  });

  it("below the log's first entry is told that it was compacted, and from where it may go on", async () => {
    await leading();
    member.fill(50);
    member.commit();
    await member.compact(20);
    const { seen, ends } = watching(20);
    await turns();
    expect([seen, ends]).toEqual([[], [["compacted", 21]]]);
  });

  it("that was paused while its place was compacted is told so", async () => {
    await leading();
    const { watch, ends } = watching(1, { onEntries: () => false });
    await turns();
    member.fill(50);
    member.commit();
    await member.compact(20);
    watch.resume();
    await turns();
    expect(ends).toEqual([["compacted", 21]]);
  });

  it("that stays paused beyond the log's horizon is ended as too slow", async () => {
    await leading();
    const { ends } = watching(1, { onEntries: () => false });
    await turns();
    member.fill(50);
    member.commit();
    expect(ends).toEqual([]);
    await member.compact(20);
    member.fill(1);
    member.commit();
    expect(ends).toEqual([["tooSlow", 21]]);
  });

  it("goes on after the state was replaced by a snapshot, or is told that it cannot", async () => {
    await leading();
    member.fill(50);
    member.commit();
    const meta = await member.snapshot();
    const other = await OneMember.start();
    const seen: number[] = [];
    const ends: unknown[] = [];
    other.store.watch({ from: 1, onEntries: () => true, onEnd: (...why) => ends.push(why) });
    other.store.watch({
      from: 52,
      onEntries: (entries) => {
        seen.push(...indexes(entries));
        return true;
      },
      onEnd: (...why) => ends.push(why),
    });
    await turns();
    await carry(meta, member.snapshots, other.snapshots);
    other.log.base = meta.id;
    await other.store.stateMachine.restore(meta, other.snapshots);
    await turns();
    other.committed = 51;
    other.term = 1;
    other.lead();
    expect([ends, seen]).toEqual([[["compacted", 52]], [52]]);
    await other.end();
  });

  it("ends when the store does, and there is room for a limited number", async () => {
    await leading();
    const { ends } = watching(1);
    const many = range(2, watchesMax).map(() => watching(1_000_000).ends);
    const tooMany = watching(1).ends;
    await turns(3);
    expect([tooMany, ends]).toEqual([[["tooSlow", 1]], []]);
    await member.store.close();
    expect(ends).toEqual([["stopped", 1]]);
    expect(many.every((e) => e.length === 1)).toBe(true);
  });
});

describe("controllers", () => {
  it("are told after each batch what changed", async () => {
    await leading();
    const told: unknown[] = [];
    const stop = member.store.onApplied((changed, applied) =>
      told.push([[...(changed ?? [])], applied, member.store.world.count("box")]),
    );
    await member.ask({ type: "FillBox", id: "a", content: 1 });
    await member.ask({ type: "MoveAll", id: "a", to: "b" });
    stop();
    await member.ask({ type: "FillBox", id: "a", content: 1 });
    expect(told).toEqual([
      [["box/a"], 2, 1],
      [["box/a", "box/b"], 3, 1],
    ]);
  });

  it("may submit from what they are told", async () => {
    await leading();
    const answers: boolean[] = [];
    const stop = member.store.onApplied((changed) => {
      if (changed?.has("box/a") === true)
        void member.ask({ type: "FillBox", id: "echo", content: 1 }).then((a) => answers.push(a.ok));
    });
    await member.ask({ type: "FillBox", id: "a", content: 1 });
    await turns(3);
    stop();
    expect(answers).toEqual([true]);
  });
});
