import { describe, expect, it } from "vitest";
import { decodeConfigChange } from "./config-change.ts";
import { firstMembersLog, makeMemoryLog } from "./memory-log.ts";
import { type AppendBatch, type Entry, Kind } from "./types.ts";

const entry = (index: number, term: number): Entry => ({ index, term, kind: Kind.normal, data: new Uint8Array(2) });
const batch = (part: Partial<AppendBatch>): AppendBatch => ({
  token: 1,
  term: 2,
  hard: null,
  slice: null,
  snap: null,
  last: { index: 0, term: 0 },
  sync: true,
  thenSend: [],
  ...part,
});

describe("a log in memory", () => {
  it("begins, for first members, with the entry that names them, committed", () => {
    const log = makeMemoryLog(firstMembersLog([1, 2, 3]));
    expect(log.boot()).toMatchObject({
      hard: { term: 1, vote: 0, commit: 1 },
      snap: { id: { index: 0 } },
      last: { index: 1, term: 1 },
    });
    const [first] = log.view.read(1, 2, Infinity) as Entry[];
    expect(decodeConfigChange(first!.data).changes.map((c) => c.id)).toEqual([1, 2, 3]);
  });

  it("replaces everything after the anchor of a write, and keeps the hard state with it", async () => {
    const log = makeMemoryLog({ entries: [entry(1, 1), entry(2, 1), entry(3, 1)] });
    const slice = { leaderTerm: 2, prev: { index: 1, term: 1 }, entries: [entry(2, 2)] };
    await log.append([batch({ slice, hard: { term: 2, vote: 3, commit: 1 } })]);
    expect(log.boot()).toMatchObject({ hard: { term: 2, vote: 3, commit: 1 }, last: { index: 2, term: 2 } });
    expect(log.view.term(3)).toBe("beyond");
    expect(log.stats()).toMatchObject({ writes: 1, syncs: 1 });
  });

  it("refuses a write whose anchor it does not have", () => {
    const log = makeMemoryLog({ entries: [entry(1, 1)] });
    const slice = { leaderTerm: 2, prev: { index: 1, term: 2 }, entries: [entry(2, 2)] };
    expect(() => log.write([batch({ slice })])).toThrow("A1");
  });

  it("forgets what is compacted but keeps the last forgotten term, and reads at least one entry", async () => {
    const log = makeMemoryLog({ entries: [entry(1, 1), entry(2, 2), entry(3, 2)] });
    await log.compact(2);
    expect([log.view.first(), log.view.term(2), log.view.term(1), log.view.read(2, 4, 9)]).toEqual([
      3,
      2,
      "compacted",
      "compacted",
    ]);
    expect(log.view.read(3, 4, 0)).toHaveLength(1);
  });

  it("holds nothing but what follows an installed snapshot", () => {
    const log = makeMemoryLog({ entries: [entry(1, 1)] });
    const snap = { id: { index: 9, term: 2 }, membership: { ...log.boot().snap.membership, voters: [1] }, digest: "d", bytes: 1 };
    const slice = { leaderTerm: 2, prev: snap.id, entries: [entry(10, 2)] };
    log.write([batch({ snap, slice })]);
    expect([log.view.first(), log.view.last().index, log.view.term(9), log.view.term(1)]).toEqual([10, 10, 2, "compacted"]);
    expect(log.boot().snap).toBe(snap);
  });
});
