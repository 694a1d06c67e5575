import type { DomainEvent } from "@aether/core/kernel/event";
import type { Noun } from "@aether/core/kernel/noun";
import type { Stored } from "@aether/core/kernel/world";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeRow } from "./row-table.ts";
import { Rows, type TakenRow } from "./rows.ts";

interface BoxRow {
  readonly text: string;
  /** The text before, so that a row which is read wrongly shows. */
  readonly was: string | null;
}

const box: Noun<BoxRow> = {
  name: "box",
  events: [],
  commands: [],
  evolve: (row, event) =>
    event.type === "BoxRemoved" ? undefined : { text: event["text"] as string, was: row === undefined ? null : row.text },
};

const shelf: Noun = { ...box, name: "shelf" } as Noun;
const nouns: Record<string, Noun> = { box: box as Noun, shelf };
const names = Object.keys(nouns);
const actor = { name: "ada", role: "operator" } as const;

/** Rows, what they should be, and what the disk holds of them. */
class Scene {
  rows = new Rows(names, null);
  readonly expected = new Map<string, Stored<BoxRow>>();
  /** By "noun/id": the bytes and a stand-in for the checksum. */
  readonly disk = new Map<string, { bytes: Uint8Array; crc: number }>();
  private index = 0;

  change(noun: string, id: string, text: string | null): void {
    this.index++;
    const event: DomainEvent = { type: text === null ? "BoxRemoved" : "BoxSet", v: 1, id, text };
    const context = { index: this.index, at: 1_000 + this.index, actor };
    expect(this.rows.evolve(nouns[noun] as Noun, event, context)).toBe(`${noun}/${id}`);
    const before = this.expected.get(`${noun}/${id}`);
    if (text === null) this.expected.delete(`${noun}/${id}`);
    else {
      const row = { text, was: before?.row.text ?? null };
      this.expected.set(`${noun}/${id}`, { id, version: (before?.version ?? 0) + 1, index: this.index, at: context.at, row });
    }
  }

  /** As the state's flush does it; `meanwhile` runs when half of it is written. */
  flush(meanwhile: () => void = () => undefined): void {
    this.rows.settle();
    const taken = this.rows.takeDirty();
    const half = Math.floor(taken.length / 2);
    for (const row of taken.slice(0, half)) this.write(row);
    meanwhile();
    for (const row of taken.slice(half)) this.write(row);
    this.rows.dropRemoved(taken);
  }

  private write(taken: TakenRow): void {
    const thing = `${taken.noun}/${taken.id}`;
    expect(this.rows.diskCrc(taken)).toBe(this.disk.get(thing)?.crc ?? null);
    if (taken.stored === undefined) {
      this.disk.delete(thing);
      this.rows.erased(taken);
      return;
    }
    const bytes = Buffer.from(encodeRow(taken.stored));
    const crc = (bytes.reduce((sum, byte) => Math.imul(sum, 31) + byte, 7) >>> 0) + 0;
    this.disk.set(thing, { bytes, crc });
    this.rows.written(taken, bytes, crc);
  }

  /** Rows read from the disk, as a start or a restore does. */
  reloaded(known: boolean): Rows {
    const rows = new Rows(names, known ? this.rows.settle() : null);
    for (const [thing, { bytes, crc }] of this.disk) {
      const [noun, id] = cut(thing);
      rows.load(noun, id, bytes, crc, known);
    }
    return rows;
  }

  check(rows = this.rows): void {
    expect(rows.size).toBe(this.expected.size);
    for (const noun of names) {
      const wanted = [...this.expected].filter(([thing]) => cut(thing)[0] === noun).map(([, stored]) => stored);
      expect([...rows.all(noun)].toSorted(byId)).toEqual(wanted.toSorted(byId));
      expect(rows.count(noun)).toBe(wanted.length);
      for (const stored of wanted) expect(rows.get(noun, stored.id)).toEqual(stored);
      expect(rows.get(noun, "nowhere")).toBeUndefined();
    }
    expect(rows.settle()).toEqual(this.sums());
  }

  /** The sums of the same rows when they are counted for the first time. */
  private sums(): ReturnType<Rows["settle"]> {
    const rows = new Rows(names, null);
    for (const [thing, stored] of this.expected) rows.load(cut(thing)[0], stored.id, encodeRow(stored), 0, false);
    return rows.settle();
  }
}

const cut = (thing: string): [string, string] => [thing.slice(0, thing.indexOf("/")), thing.slice(thing.indexOf("/") + 1)];
const byId = (a: Stored, b: Stored): number => (a.id < b.id ? -1 : 1);

const noun = fc.constantFrom(...names);
const id = fc.constantFrom("a", "b", "ab", "ba", "ä", "€", "a/b", "ÿÿ", "x".repeat(200), "", "日本", "e\u0301");
const text = fc.oneof(fc.string(), fc.constant("long ".repeat(2_000)), fc.constant("huge ".repeat(9_000)));
const change = fc.record({ noun, id, text: fc.option(text, { freq: 4 }) });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("change" as const), changes: fc.array(change, { maxLength: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("flush" as const), changes: fc.array(change, { maxLength: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("settle" as const), changes: fc.constant([]) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), changes: fc.constant([]) }) },
);

describe("rows", () => {
  it("are what was made of them, through flushes that changes fall into, restarts and restores", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const scene = new Scene();
        for (const { kind, changes } of steps) {
          const apply = (): void => {
            for (const each of changes) scene.change(each.noun, each.id, each.text);
          };
          if (kind === "change") apply();
          else if (kind === "settle") scene.rows.settleSome(2);
          else if (kind === "flush") {
            scene.flush(() => {
              apply();
              // a checkpoint among them: what is being written must stay what was taken
              scene.rows.settle();
            });
          } else {
            scene.flush();
            scene.rows = scene.reloaded(true);
          }
          for (const each of changes) {
            const wanted = scene.expected.get(`${each.noun}/${each.id}`);
            expect(scene.rows.get(each.noun, each.id)).toEqual(wanted);
          }
        }
        scene.check();
        scene.flush();
        scene.check();
        expect([...scene.disk.keys()].toSorted()).toEqual([...scene.expected.keys()].toSorted());
        scene.check(scene.reloaded(true));
        scene.check(scene.reloaded(false));
      }),
      { numRuns: 300 },
    );
  });

  it("of which there are more than are kept as objects are read and changed as well", () => {
    const scene = new Scene();
    const ids = Array.from({ length: 20_000 }, (_, i) => `key-${i}`);
    for (const each of ids) scene.change("box", each, `first ${each}`);
    scene.flush();
    scene.check();
    for (const each of ids.filter((_, i) => i % 3 === 0)) scene.change("box", each, `second ${each} ${"x".repeat(80)}`);
    for (const each of ids.filter((_, i) => i % 5 === 0)) scene.change("box", each, null);
    scene.check();
    scene.flush();
    for (const each of ids.filter((_, i) => i % 7 === 0)) scene.change("box", each, "third");
    scene.flush();
    scene.check();
    scene.check(scene.reloaded(true));
  });

  it("that are removed leave nothing behind", () => {
    const scene = new Scene();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 1_000; i++) scene.change("box", `key-${i}`, "x".repeat(i));
      scene.flush();
      for (let i = 0; i < 1_000; i++) scene.change("box", `key-${i}`, null);
      scene.flush();
      expect(scene.rows.size).toBe(0);
      expect(scene.rows.bytes).toBe(0);
    }
    scene.check();
  });
});
