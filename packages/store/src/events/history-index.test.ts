import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HistoryIndex, indexesIn } from "./history-index.ts";
import type { HistoryPack } from "./history-index.ts";

const packsIn = (history: HistoryIndex): HistoryPack[] => [...history.take()].filter((pack) => pack !== null);

/** What a reader finds about a thing in the packs of one flush. */
function inPacks(history: HistoryIndex, thing: string): number[] {
  return packsIn(history).flatMap(({ first, bytes }) => indexesIn(first, bytes, Buffer.from(thing)));
}

describe("the history of a flush", () => {
  it("gives each thing its entries, once each and in order, also beyond 2^32 and of names that begin alike", () => {
    const names = ["box/a", "box/ab", "box/", "box/ä", "node/a"];
    const told = fc.array(fc.tuple(fc.constantFrom(...names), fc.nat(2 ** 31)), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(told, fc.constantFrom(1, 2 ** 40), (events, start) => {
        const history = new HistoryIndex();
        let index = start;
        const expected = new Map<string, number[]>(names.map((name) => [name, []]));
        for (const [thing, step] of events) {
          // an even step stands for another event of the same entry
          index += step % 2 === 0 ? 0 : step;
          history.add(thing, index);
          const indexes = expected.get(thing) ?? [];
          if (indexes.at(-1) !== index) indexes.push(index);
        }
        for (const name of names) expect(history.recent(name)).toEqual(expected.get(name));
        const packs = packsIn(history);
        for (const name of names) {
          expect(history.recent(name)).toEqual(expected.get(name));
          expect(packs.flatMap(({ first, bytes }) => indexesIn(first, bytes, Buffer.from(name)))).toEqual(expected.get(name));
        }
        history.flushed();
        expect(history.recent("box/a")).toEqual([]);
      }),
    );
  });

  it("is cut into packs between entries, never within one", () => {
    const history = new HistoryIndex();
    const thing = "box/a";
    for (let index = 1; index <= 3_000; index++) for (let event = 0; event < 3; event++) history.add(thing, index);
    for (let event = 0; event < 10_000; event++) history.add(`box/${event}`, 3_001);
    const packs = packsIn(history);
    expect(packs.length).toBeGreaterThan(2);
    expect(new Set(packs.map(({ first }) => first)).size).toBe(packs.length);
    const found = packs.map(({ first, bytes }) => indexesIn(first, bytes, Buffer.from("box/a")));
    expect(found.flat()).toEqual(Array.from({ length: 3_000 }, (_, i) => i + 1));
    expect(packs.map(({ more }) => more)).toEqual(packs.map((_, i) => i < packs.length - 1));
    expect(packs.flatMap(({ first, bytes }) => indexesIn(first, bytes, Buffer.from("box/9999")))).toEqual([3_001]);
  });

  it("of an entry with very many events is made in steps, and reads the same", () => {
    const history = new HistoryIndex();
    for (let event = 0; event < 50_000; event++) history.add(`box/${event % 20_000}`, 2 ** 33);
    history.add("box/7", 2 ** 33 + 5);
    const steps = [...history.take()];
    expect(steps.filter((step) => step === null).length).toBeGreaterThan(10);
    const packs = steps.filter((step) => step !== null);
    const found = (thing: string): number[] => packs.flatMap(({ first, bytes }) => indexesIn(first, bytes, Buffer.from(thing)));
    expect(packs).toHaveLength(2);
    expect([found("box/7"), found("box/19999")]).toEqual([[2 ** 33, 2 ** 33 + 5], [2 ** 33]]);
  });

  it("costs a few bytes an event when the same things change again", () => {
    const history = new HistoryIndex();
    const things = Array.from({ length: 10 }, (_, i) => `setting/some-key-${i}`);
    for (let index = 0; index < 4_000; index++) history.add(things[index % 10]!, 2 ** 33 + index);
    const bytes = packsIn(history).reduce((sum, pack) => sum + pack.bytes.length, 0);
    expect(bytes).toBeLessThan(4_000 * 2 + 10 * 30);
    expect(inPacks(history, "setting/some-key-3")).toEqual([]);
  });

  it("that is cut short is refused", () => {
    const history = new HistoryIndex();
    for (let index = 1; index < 300; index += 150) history.add("box/a", index);
    const [pack] = packsIn(history);
    const bytes = pack?.bytes ?? Buffer.alloc(0);
    expect(() => indexesIn(1, bytes.subarray(0, bytes.length - 1), Buffer.from("box/a"))).toThrow(RangeError);
    expect(() => indexesIn(1, bytes.subarray(0, 4), Buffer.from("box/a"))).toThrow(RangeError);
  });
});
