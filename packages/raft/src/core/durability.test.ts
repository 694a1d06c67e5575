import { describe, expect, it } from "vitest";
import { Lone } from "../cases/lone.ts";
import { encodeConfigChange } from "../config-change.ts";
import { type AppendBatch, type Entry, type Index, Kind, type Term } from "../types.ts";
import { collect, hasNews } from "./ready.ts";

const entry = (index: Index, term: Term): Entry => ({ index, term, kind: Kind.normal, data: Uint8Array.of(term) });

/** What is to be written now; the test writes it or does not. */
function batchOf(lone: Lone): AppendBatch {
  const { append } = collect(lone.r);
  if (append === null) throw new Error("nothing to write");
  return append;
}

function stored(lone: Lone, batch: AppendBatch): void {
  lone.log.write([batch]);
  lone.step({ k: "stored", token: batch.token, term: batch.term, last: batch.last, snap: batch.snap?.id.index ?? 0 });
}

function hear(lone: Lone, from: number, term: Term, prev: Index, prevTerm: Term, entries: readonly Entry[]): void {
  lone.receive(from, { t: "app", prev: { index: prev, term: prevTerm }, entries, commit: 0 }, term);
}

describe("what is durable", () => {
  it("is not said by a write that was overtaken, even when the very same entry came back", () => {
    const lone = new Lone({ terms: [1, 1], term: 1 });
    hear(lone, 2, 1, 2, 1, [entry(3, 1)]);
    const first = batchOf(lone);
    hear(lone, 3, 2, 2, 1, [entry(3, 2)]);
    const second = batchOf(lone);
    hear(lone, 2, 3, 2, 1, [entry(3, 1)]);
    const third = batchOf(lone);
    expect([first, second, third].map((b) => b.slice!.entries[0]!.term)).toEqual([1, 2, 1]);

    stored(lone, first);
    expect(lone.r.log.durableIndex()).toBe(2);
    stored(lone, second);
    expect(lone.r.log.durableIndex()).toBe(2);
    stored(lone, third);
    expect(lone.r.log.durableIndex()).toBe(3);
  });

  it("is said by a later write of the new term, though it carries no entry", () => {
    const lone = new Lone({ terms: [1], term: 1 });
    hear(lone, 2, 1, 1, 1, [entry(2, 1)]);
    const entries = batchOf(lone);
    lone.receive(3, { t: "hb", commit: 0, readPos: 0 }, 2);
    const term = batchOf(lone);
    expect(term).toMatchObject({ slice: null, hard: { term: 2 }, last: { index: 2, term: 1 }, sync: true });
    stored(lone, entries);
    expect(lone.r.log.durableIndex()).toBe(1);
    stored(lone, term);
    expect(lone.r.log.durableIndex()).toBe(2);
  });

  it("comes before anybody is asked for a vote: who stood in a term never stands in it again after a crash", () => {
    const lone = new Lone({ terms: [1], term: 1 });
    lone.step({ k: "campaign" });
    const { send, append } = collect(lone.r);
    expect(send.map(({ m }) => m.t)).toEqual([]);
    expect(append).toMatchObject({ hard: { term: 2, vote: 1 }, sync: true });
    expect(append?.thenSend.filter(({ m }) => m.t === "vote").map(({ to, term }) => [to, term])).toEqual([
      [2, 2],
      [3, 2],
    ]);
  });

  it("is not believed of a follower that said so to an older leadership: it may have been cut since", () => {
    const lone = new Lone({ terms: [1, 1], term: 1 });
    lone.step({ k: "campaign" });
    lone.settle();
    lone.receive(3, { t: "voteResp", granted: true, commit: { index: 0, term: 0 } });
    lone.settle();
    expect(lone.r).toMatchObject({ state: "leader", term: 2 });
    lone.receive(2, { t: "appResp", index: 2, reject: null }, 1);
    expect(lone.r.tracker.find(2)?.match).toBe(0);
    lone.receive(2, { t: "appResp", index: 2, reject: null }, 2);
    expect(lone.r.tracker.find(2)?.match).toBe(2);
  });

  it("is not claimed for an entry that was cut before anyone wrote it", () => {
    const lone = new Lone({ terms: [1, 1], term: 1 });
    hear(lone, 2, 1, 2, 1, [entry(3, 1), entry(4, 1)]);
    hear(lone, 3, 2, 2, 1, [entry(3, 2)]);
    const { thenSend, last } = batchOf(lone);
    expect(last).toEqual({ index: 3, term: 2 });
    expect(thenSend.map((e) => [e.to, e.term, e.m])).toEqual([[3, 2, { t: "appResp", index: 3, reject: null }]]);
  });

  it("holds back a vote: the answer waits for the write that has it", () => {
    const lone = new Lone({ term: 1 });
    lone.receive(2, { t: "vote", last: { index: 0, term: 0 }, transfer: false, commit: { term: 0, index: 0 } }, 2);
    const ready = collect(lone.r);
    expect(ready.send).toEqual([]);
    expect(ready.append).toMatchObject({ hard: { term: 2, vote: 2 }, sync: true });
    expect(ready.append!.thenSend.map((e) => e.m.t)).toEqual(["voteResp"]);
  });

  it("decides when a single member commits and applies: after its own write, not before", () => {
    const lone = new Lone({ voters: [1] });
    lone.step({ k: "campaign" });
    lone.settle();
    lone.toApply.length = 0;
    expect(lone.step({ k: "propose", data: [Uint8Array.of(7)] })).toEqual({ ok: true, first: 2, last: 2, term: 1 });
    const ready = collect(lone.r);
    expect(ready.apply).toEqual([]);
    for (const e of ready.append!.thenSend) lone.step({ k: "recv", e });
    stored(lone, ready.append!);
    expect(collect(lone.r).apply.map((e) => e.index)).toEqual([2]);
  });

  it("does not include a newer commit index by itself: that costs no write", () => {
    const lone = new Lone({ terms: [1, 1], term: 1 });
    lone.receive(2, { t: "hb", commit: 2, readPos: 0 }, 1);
    const ready = collect(lone.r);
    expect(ready.append).toBeNull();
    expect(ready.apply.map((e) => e.index)).toEqual([1, 2]);
  });

  it("must include the commit of a membership change before the change is applied", () => {
    const lone = new Lone({ terms: [1], term: 1 });
    const change = { changes: [{ op: "remove", id: 3 }], transition: "auto", leave: false, context: new Uint8Array(0) } as const;
    const config: Entry = { index: 2, term: 1, kind: Kind.config, data: encodeConfigChange(change) };
    hear(lone, 2, 1, 1, 1, [config, entry(3, 1)]);
    stored(lone, batchOf(lone));
    lone.receive(2, { t: "hb", commit: 3, readPos: 0 }, 1);
    const ready = collect(lone.r);
    expect(ready.apply.map((e) => e.index)).toEqual([1]);
    expect(ready.append).toMatchObject({ hard: { commit: 3 }, slice: null, sync: true });
    expect(hasNews(lone.r)).toBe(false);
    stored(lone, ready.append!);
    expect(collect(lone.r).apply.map((e) => e.index)).toEqual([2, 3]);
  });

  it("completes in the order it was issued, or the member ends", () => {
    const lone = new Lone({ term: 1 });
    hear(lone, 2, 1, 0, 0, [entry(1, 1)]);
    const batch = batchOf(lone);
    stored(lone, batch);
    expect(() => stored(lone, batch)).toThrow("A1 writes complete in the order");
  });
});
