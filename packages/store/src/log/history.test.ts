import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AppendBatch, EntryId, HardState, LogStorage } from "@aether/raft/types";
import { noSnapshot } from "./keys.ts";
import { startLog } from "./start.ts";
import { batchOf, entriesAfter, hardState, shown } from "./testing/batches.ts";
import { MemoryDisk } from "./testing/memory-disk.ts";
import { freshDisk, handClock, identity, open, snapAt, zero } from "./testing/started.ts";

/** The log as a plain list: what the durable one must equal, batch by batch. */
class Model {
  floor: EntryId = zero;
  entries: { term: number; index: number; text: string }[] = [];
  hard: HardState = hardState(1);
  snap = noSnapshot;

  last(): EntryId {
    const entry = this.entries.at(-1);
    return entry === undefined ? this.floor : { term: entry.term, index: entry.index };
  }

  at(index: number): EntryId {
    const entry = this.entries.find((e) => e.index === index);
    return entry === undefined ? this.floor : { term: entry.term, index: entry.index };
  }

  take(batch: AppendBatch): void {
    if (batch.hard !== null) this.hard = batch.hard;
    if (batch.snap !== null) {
      const { id } = batch.snap;
      const matches = this.entries.some((e) => e.index === id.index && e.term === id.term);
      const target = batch.slice?.prev.index ?? batch.last.index;
      this.entries = matches ? this.entries.filter((e) => e.index > id.index && e.index <= target) : [];
      this.floor = id;
      this.snap = batch.snap;
    }
    if (batch.slice !== null) {
      const { prev, entries } = batch.slice;
      this.entries = this.entries.filter((e) => e.index <= prev.index);
      for (const { term, index, data } of entries) this.entries.push({ term, index, text: Buffer.from(data).toString() });
    }
  }

  shown(): { first: number; last: EntryId; entries: string[] } {
    return {
      first: this.floor.index + 1,
      last: this.last(),
      entries: this.entries.map((e) => `${e.index}@${e.term}/0 ${e.text}`),
    };
  }

  clone(): Model {
    const { floor, hard, snap } = this;
    return Object.assign(new Model(), { floor, hard, snap, entries: [...this.entries] });
  }
}

type Act = {
  readonly kind: "append" | "truncate" | "vote" | "commit" | "install" | "catchUp" | "compact";
  readonly a: number;
  readonly b: number;
};

/** The next batch that a core could issue in the model's state, or null when the act does not apply. */
function batchFor(model: Model, { kind, a, b }: Act): AppendBatch | null {
  const last = model.last();
  const { commit, term, vote } = model.hard;
  const newer = hardState(term + 1, b % 3, commit);
  if (kind === "append")
    return batchOf({
      prev: last,
      entries: entriesAfter(last, Array<number>(1 + (a % 4)).fill(term)),
      hard: { term, vote, commit: Math.max(commit, last.index) },
    });
  if (kind === "vote") return batchOf({ hard: newer, last });
  if (kind === "commit") return batchOf({ hard: { term, vote, commit: commit + (a % (last.index - commit + 1)) }, last });
  if (kind === "truncate") {
    if (last.index === commit) return null;
    const prev = model.at(commit + (a % (last.index - commit)));
    return batchOf({ prev, entries: entriesAfter(prev, Array<number>(b % 3).fill(term + 1)), hard: newer });
  }
  if (kind === "install") {
    const id = { term: term + 1, index: commit + 1 + (a % 6) };
    const hard = { ...newer, commit: id.index };
    if (b % 2 === 0) return batchOf({ snap: snapAt(id), hard });
    return batchOf({ snap: snapAt(id), prev: id, entries: entriesAfter(id, [term + 1, term + 1]), hard });
  }
  if (kind === "catchUp") {
    // A snapshot of an entry that the log itself holds: what is above it may stay.
    if (last.index === commit) return null;
    const id = model.at(commit + 1 + (a % (last.index - commit)));
    return batchOf({ snap: snapAt(id), hard: { term, vote, commit: id.index }, last: b % 2 === 0 ? last : id });
  }
  return null;
}

const acts = fc.array(
  fc.record({
    kind: fc.constantFrom<Act["kind"]>(
      "append",
      "append",
      "append",
      "truncate",
      "vote",
      "commit",
      "install",
      "catchUp",
      "compact",
    ),
    a: fc.nat(50),
    b: fc.nat(50),
  }),
  { minLength: 1, maxLength: 14 },
);

describe("a cut inside a block", () => {
  it.each([0, 1, 2, 3, 4, 5])(
    "forgets the terms of what it takes away, after %i others (simulator, terms-of-what-was-cut)",
    async (others) => {
      const disk = await freshDisk();
      const log = await open(disk);
      let last = zero;
      const append = async (prev: EntryId, terms: readonly number[]): Promise<void> => {
        const entries = entriesAfter(prev, terms);
        await log.append([batchOf({ prev, entries, hard: hardState(terms.at(-1) as number) })]);
        last = log.view.last();
      };
      for (let term = 1; term <= others; term++) await append(last, [term]);
      const kept = { index: others + 1, term: 6 };
      await append(last, [6, 7]);
      await append(last, [9]);
      await append(kept, [11]);
      await append(last, [12]);
      const terms = [...Array.from({ length: others }, (_, at) => at + 1), 6, 11, 12];
      for (const one of [log, await open(disk.copy())]) expect(terms.map((_, at) => one.view.term(at + 1))).toEqual(terms);
    },
  );
});

describe("any history", () => {
  it("written in groups equals the same batches one by one, also after a restart at every step", async () => {
    await fc.assert(
      fc.asyncProperty(acts, fc.integer({ min: 1, max: 5 }), async (history, groupSize) => {
        const disk = await freshDisk();
        let log = await open(disk, { cacheBytes: 64 });
        const model = new Model();
        let group: AppendBatch[] = [];
        await log.append([batchOf({ hard: model.hard, last: zero })]);
        for (const [at, act] of history.entries()) {
          if (act.kind === "compact" && group.length === 0 && model.hard.commit > model.floor.index) {
            const upTo = model.floor.index + 1 + (act.a % (model.hard.commit - model.floor.index));
            model.floor = model.at(upTo);
            model.entries = model.entries.filter((e) => e.index > upTo);
            await log.compact(upTo);
          }
          const batch = batchFor(model, act);
          if (batch !== null) {
            model.take(batch);
            group.push(batch);
          }
          if (group.length < groupSize && at < history.length - 1) continue;
          await log.append(group);
          group = [];
          expect(shown(log)).toEqual(model.shown());
          const { verdict, storage } = await startLog(disk.copy().ports, identity, { clock: handClock(), cacheBytes: 64 });
          expect(verdict).toMatchObject({
            v: "clean",
            boot: { hard: { term: model.hard.term, vote: model.hard.vote }, snap: model.snap },
          });
          expect(shown(storage as LogStorage)).toEqual(model.shown());
          if (act.b % 3 === 0) {
            await log.close();
            log = await open(disk, { cacheBytes: 64 });
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("cut off after any durable write opens clean, with all that was acknowledged and nothing that never was", async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (history) => {
        const disk = await freshDisk();
        const clock = handClock();
        const log = await open(disk, { clock, cacheBytes: 64, pace: { everyMs: 1, everyEntries: 2 } });
        const model = new Model();
        await log.append([batchOf({ hard: model.hard, last: zero })]);
        /** After how many journal steps which state was acknowledged. */
        const acknowledged: { steps: number; state: Model }[] = [{ steps: disk.journal.length, state: model.clone() }];
        for (const act of history) {
          const batch = batchFor(model, act);
          if (batch === null) continue;
          // Time passes before a write, or while it is under way.
          clock.pass(act.b % 2);
          disk.refuse = (step) => {
            if (step.on === "batch") clock.pass(act.a % 2);
            return false;
          };
          model.take(batch);
          await log.append([batch]);
          acknowledged.push({ steps: disk.journal.length, state: model.clone() });
        }
        const start = acknowledged[0]?.steps as number;
        for (let steps = start; steps <= disk.journal.length; steps++) {
          const { verdict, storage } = await startLog(MemoryDisk.replay(disk.journal, steps).ports, identity, {
            clock: handClock(),
          });
          expect(verdict.v).toBe("clean");
          const found = JSON.stringify(shown(storage as LogStorage));
          const newest = acknowledged.findLastIndex((ack) => ack.steps <= steps);
          const fits = acknowledged.slice(newest, newest + 2).map(({ state }) => JSON.stringify(state.shown()));
          expect(fits).toContain(found);
        }
      }),
      { numRuns: 200 },
    );
  });
});
