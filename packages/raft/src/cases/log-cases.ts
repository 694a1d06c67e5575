import { expect } from "vitest";
import { beyond, compacted, RaftLog } from "../core/log.ts";
import { checkSlice } from "../core/slice.ts";
import { Unstable } from "../core/unstable.ts";
import { makeMemoryLog, type MemoryLog, noSnapshot } from "../memory-log.ts";
import type { AppendBatch, EntryId, Index, LogSlice, SnapMeta, Term } from "../types.ts";
import { Lone } from "./lone.ts";
import { entriesOf, type Runner, runner, type Terms } from "./suite.ts";

type Lookup = { readonly index: Index; readonly term?: Term; readonly error?: "compacted" | "unavailable" };

function snapAt(id: EntryId): SnapMeta {
  return { ...noSnapshot, id };
}

/** A durable log: a snapshot's entry, then these terms. */
function storageOf(base: EntryId, terms: readonly Term[]): MemoryLog {
  return makeMemoryLog({ snap: snapAt(base), entries: entriesOf({ first: base.index + 1, terms }) });
}

function logOf(given: { log: NonNullable<Terms>; commit?: Index }): RaftLog {
  const storage = storageOf({ term: 0, index: given.log.first - 1 }, given.log.terms);
  return new RaftLog(storage.view, storage.view.last(), given.commit ?? 0, 0, Infinity);
}

function termsOf(log: RaftLog): Term[] {
  const entries = log.read(log.firstIndex(), log.lastIndex() + 1, Infinity);
  return entries === "compacted" ? [] : entries.map((e) => e.term);
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

const expectTerm = (log: RaftLog, c: Lookup) => {
  const errors = { compacted, unavailable: beyond };
  expect(log.term(c.index)).toBe(c.error === undefined ? c.term : errors[c.error]);
};

const isUpToDate = runner<{ lastIndex: Index; term: Term; want: boolean }, { log: NonNullable<Terms> }>((c, given) => {
  expect(logOf(given).isUpToDate({ index: c.lastIndex, term: c.term })).toBe(c.want);
});

const findConflict = runner<{ entries: Terms; want: Index }, { log: NonNullable<Terms> }>((c, given) => {
  expect(logOf(given).findConflict(entriesOf(c.entries))).toBe(c.want);
});

const findConflictByTerm = runner<{ snapshot: EntryId; terms: Term[]; index: Index; term: Term; want: Index }>((c) => {
  const storage = storageOf(c.snapshot, c.terms);
  const log = new RaftLog(storage.view, storage.view.last(), c.snapshot.index, c.snapshot.index, Infinity);
  const found = log.findConflictByTerm(c.index, c.term);
  expect(found).toEqual({ index: c.want, term: Math.max(0, log.term(c.want)) });
});

const appendTruncates = runner<
  { entries: Terms; wantLast: Index; wantTerms: Term[]; unstableOffset: Index },
  { log: NonNullable<Terms> }
>((c, given) => {
  const log = logOf(given);
  log.append(entriesOf(c.entries));
  expect({ last: log.lastIndex(), terms: termsOf(log), offset: log.unstable.offset }).toEqual({
    last: c.wantLast,
    terms: c.wantTerms,
    offset: c.unstableOffset,
  });
});

interface MaybeAppend {
  readonly prev: EntryId;
  readonly leaderCommit: Index;
  readonly entries: Terms;
  readonly wantLast: Index;
  readonly wantAppend: boolean;
  readonly wantCommit: Index;
  readonly wantPanic: boolean;
}

const maybeAppend = runner<MaybeAppend, { log: NonNullable<Terms>; commit: Index }>((c, given) => {
  const log = logOf(given);
  const entries = entriesOf(c.entries);
  if (c.wantPanic) {
    expect(() => log.maybeAppend(c.prev, entries, c.leaderCommit)).toThrow("A1");
    return;
  }
  expect(log.maybeAppend(c.prev, entries, c.leaderCommit)).toBe(c.wantAppend ? c.wantLast : -1);
  expect(log.committed).toBe(c.wantCommit);
  if (c.wantAppend) for (const e of entries) expect(log.term(e.index)).toBe(e.term);
});

const commitTo = runner<{ to: Index; want?: Index }, { log: NonNullable<Terms>; commit: Index }>((c, given) => {
  const log = logOf(given);
  if (typeof c.want === "number") {
    log.commitTo(c.to);
    expect(log.committed).toBe(c.want);
  } else {
    expect(() => log.commitTo(c.to)).toThrow("A1");
  }
});

interface SliceCase {
  readonly term: Term;
  readonly prev: EntryId;
  readonly entries: readonly { readonly index: Index; readonly term: Term }[];
  readonly ok: boolean;
  readonly last?: EntryId;
}

const sliceValidity = runner<SliceCase>((c) => {
  const entries = c.entries.map((e) => ({ ...entriesOf({ first: e.index, terms: [e.term] })[0]! }));
  expect(checkSlice(c.term, c.prev, entries) === null).toBe(c.ok);
  if (c.ok && c.last !== undefined) {
    const last = entries[entries.length - 1] ?? c.prev;
    expect({ index: last.index, term: last.term }).toEqual(c.last);
  }
});

const termLookup = runner<Lookup>((c) => {
  const storage = storageOf({ term: 1, index: 100 }, range(1, 99));
  expectTerm(new RaftLog(storage.view, storage.view.last(), 100, 100, Infinity), c);
});

const termLookupPending = runner<Lookup>((c) => {
  const storage = storageOf({ term: 1, index: 100 }, []);
  const log = new RaftLog(storage.view, storage.view.last(), 100, 100, Infinity);
  log.restore(snapAt({ term: 1, index: 105 }));
  expectTerm(log, c);
});

const bounds = runner<{ lo: Index; hi: Index; want: "compacted" | "ok" | "panic" }>((c) => {
  const storage = storageOf({ term: 1, index: 100 }, range(101, 100));
  const log = new RaftLog(storage.view, storage.view.last(), 100, 100, Infinity);
  const read = () => log.read(c.lo, c.hi, Infinity);
  if (c.want === "panic") expect(read).toThrow("A1");
  else if (c.want === "compacted") expect(read()).toBe("compacted");
  else expect(read()).toEqual([]);
});

/** Refused upstream; here a log that is cut already stays as it is, and only a cut beyond the end is a mistake. */
const compaction = runner<{ lastIndex: Index; compact: Index[]; wantLeft: number[] }>((c) => {
  const storage = storageOf({ term: 0, index: 0 }, range(1, c.lastIndex));
  const left = () => storage.view.last().index - storage.view.first() + 1;
  c.compact.forEach((at, i) => {
    const before = left();
    if (at > c.lastIndex) expect(() => storage.compact(at)).toThrow(RangeError);
    else void storage.compact(at);
    expect(left()).toBe(c.wantLeft[i] === -1 ? before : c.wantLeft[i]);
  });
});

const storageTerm = runner<Lookup>((c) => {
  const found = storageOf({ term: 3, index: 3 }, [4, 5]).view.term(c.index);
  expect(found).toBe(c.error === undefined ? c.term : c.error === "compacted" ? "compacted" : "beyond");
});

const limits: Record<string, number> = {
  none: Infinity,
  zero: 0,
  "2 entries": 2,
  "2.5 entries": 2.5,
  "3 entries minus 1 byte": 2.9,
  "3 entries": 3,
};

/** Entries carry one byte each, so n bytes are n entries. */
const storageEntries = runner<{ lo: Index; hi: Index; limit: string; error?: string; want?: Index[] }>((c) => {
  const { view } = storageOf({ term: 3, index: 3 }, [4, 5, 6]);
  const found = view.read(c.lo, c.hi, limits[c.limit]!);
  if (c.error !== undefined) expect(found).toBe(c.error);
  else expect(found === "compacted" ? found : found.map((e) => e.index)).toEqual(c.want);
});

const storageCompact = runner<{ index: Index; wantBase: EntryId; remaining: number }>((c) => {
  const storage = storageOf({ term: 3, index: 3 }, [4, 5]);
  void storage.compact(c.index);
  const base = storage.view.first() - 1;
  expect({ index: base, term: storage.view.term(base) }).toEqual(c.wantBase);
  expect(storage.view.last().index - base + 1).toBe(c.remaining);
});

function batchOf(part: { slice?: LogSlice; snap?: SnapMeta }): AppendBatch {
  const { slice = null, snap = null } = part;
  return { token: 1, term: 9, hard: null, slice, snap, last: { term: 0, index: 0 }, sync: true, thenSend: [] };
}

const storageAppend = runner<{ entries: NonNullable<Terms>; want: NonNullable<Terms> }>((c) => {
  const storage = storageOf({ term: 3, index: 3 }, [4, 5]);
  const index = c.entries.first - 1;
  const prev = { index, term: Number(storage.view.term(index)) };
  storage.write([batchOf({ slice: { leaderTerm: 9, prev, entries: entriesOf(c.entries) } })]);
  const first = storage.view.first() - 1;
  expect({ first, terms: range(first, storage.view.last().index - first + 1).map((i) => storage.view.term(i)) }).toEqual(c.want);
});

const storageSnapshot = runner<{ snapshots: Index[]; error: string | null }>((c) => {
  const storage = storageOf({ term: 0, index: 0 }, []);
  const write = () => c.snapshots.forEach((index) => storage.write([batchOf({ snap: snapAt({ term: index, index }) })]));
  if (c.error !== null) expect(write).toThrow("A12");
  else write();
  expect(storage.boot().last.index).toBe(Math.max(...c.snapshots));
});

interface Tail {
  readonly offset: Index;
  readonly offsetInProgress: Index;
  readonly snapshot?: EntryId | null;
  readonly snapshotInProgress?: boolean;
}

function tailOf(c: Partial<Tail>, terms: readonly Term[]): Unstable {
  const tail = new Unstable(c.offset ?? 0);
  tail.entries = entriesOf({ first: tail.offset, terms });
  tail.inProgress = c.offsetInProgress ?? tail.offset;
  tail.snap = c.snapshot ? snapAt(c.snapshot) : null;
  tail.snapInProgress = c.snapshotInProgress ?? false;
  return tail;
}

const asTerms = (tail: readonly { index: Index; term: Term }[]): Terms =>
  tail.length === 0 ? null : { first: tail[0]!.index, terms: tail.map((e) => e.term) };

const truncateAndAppend = runner<
  Tail & { entries: NonNullable<Terms>; append: Terms; wantOffset: Index; wantOffsetInProgress: Index; wantEntries: Terms }
>((c) => {
  const tail = tailOf(c, c.entries.terms);
  tail.append(entriesOf(c.append));
  expect({ offset: tail.offset, inProgress: tail.inProgress, entries: asTerms(tail.entries) }).toEqual({
    offset: c.wantOffset,
    inProgress: c.wantOffsetInProgress,
    entries: c.wantEntries,
  });
});

const stableTo = runner<
  Tail & { terms: Term[]; ackIndex: Index; ackTerm: Term; wantOffset: Index; wantOffsetInProgress: Index; wantLen: number }
>((c) => {
  const tail = tailOf(c, c.terms);
  tail.stableTo({ index: c.ackIndex, term: c.ackTerm });
  expect([tail.offset, tail.inProgress, tail.entries.length]).toEqual([c.wantOffset, c.wantOffsetInProgress, c.wantLen]);
});

const stableToWithSnapshot = runner<{ snapshot: EntryId; ackIndex: Index; ackTerm: Term; newTerms: Term[]; wantOffset: Index }>(
  (c) => {
    const storage = storageOf(c.snapshot, []);
    const log = new RaftLog(storage.view, storage.view.last(), c.snapshot.index, c.snapshot.index, Infinity);
    log.append(entriesOf({ first: 6, terms: c.newTerms }));
    log.unstable.stableTo({ index: c.ackIndex, term: c.ackTerm });
    expect(log.unstable.offset).toBe(c.wantOffset);
  },
);

const stableToBasic = runner<{ index: Index; term: Term; wantOffset: Index }>((c) => {
  const tail = tailOf({ offset: 1 }, [1, 2]);
  tail.stableTo(c);
  expect(tail.offset).toBe(c.wantOffset);
});

const maybeTerm = runner<Tail & { terms: Term[]; index: Index; want: Term | null }>((c) => {
  expect(tailOf(c, c.terms).term(c.index)).toBe(c.want);
});

const firstLast = runner<Tail & { fn: "first" | "last"; terms: Term[]; want: Index | null }>((c) => {
  const tail = tailOf(c, c.terms);
  expect(c.fn === "first" ? tail.firstIndex() : tail.lastIndex()).toBe(c.want);
});

const nextEntries = runner<Tail & { entries: NonNullable<Terms>; want: Terms }>((c) => {
  expect(asTerms(tailOf(c, c.entries.terms).nextEntries())).toEqual(c.want);
});

const acceptInProgress = runner<
  Tail & { entryCount: number; first: Index; wantOffsetInProgress: Index; wantSnapshotInProgress: boolean }
>((c) => {
  const terms = range(1, c.entryCount).map(() => 1);
  const tail = tailOf({ ...c, offset: c.first }, terms);
  tail.acceptInProgress();
  expect([tail.inProgress, tail.snapInProgress]).toEqual([c.wantOffsetInProgress, c.wantSnapshotInProgress]);
});

interface Applicable {
  readonly applied: Index;
  readonly applying: Index;
  readonly paused?: boolean;
  readonly pendingSnapshot?: boolean;
  readonly want: Index[];
  readonly wantHas: boolean;
}

/** A snapshot at 3; of the entries 4 to 6 only 4 is durable here, and 5 is the commit index. */
const nextCommitted = runner<Applicable>((c) => {
  const { r } = new Lone({ base: { term: 1, index: 3 }, terms: [1], term: 1 });
  r.log.append(entriesOf({ first: 5, terms: [1, 1] }));
  r.log.commitTo(5);
  r.log.applied = c.applied;
  r.log.applying = c.applying;
  if (c.pendingSnapshot === true) r.log.unstable.snap = snapAt({ term: 1, index: 4 });
  const log = c.paused === true ? Object.assign(r.log, { maxApplyBytes: 0 }) : r.log;
  expect(log.hasNextApply()).toBe(c.wantHas);
  expect(log.nextApply().map((e) => e.index)).toEqual(c.want);
});

export const logRunners: Record<string, Runner> = {
  "log.is_up_to_date": isUpToDate,
  "log.find_conflict": findConflict,
  "log.find_conflict_by_term": findConflictByTerm,
  "log.append_truncates": appendTruncates,
  "log.maybe_append": maybeAppend,
  "log.commit_to": commitTo,
  "log.slice_validity": sliceValidity,
  "log.term_lookup": termLookup,
  "log.term_lookup_pending_snapshot": termLookupPending,
  "log.bounds": bounds,
  "log.compaction": compaction,
  "storage.term": storageTerm,
  "storage.entries": storageEntries,
  "storage.compact": storageCompact,
  "storage.append": storageAppend,
  "storage.apply_snapshot": storageSnapshot,
  "unstable.truncate_and_append": truncateAndAppend,
  "unstable.stable_to": stableTo,
  "unstable.stable_to_with_snapshot": stableToWithSnapshot,
  "unstable.stable_to_basic": stableToBasic,
  "unstable.maybe_term": maybeTerm,
  "unstable.first_last_index": firstLast,
  "unstable.next_entries": nextEntries,
  "unstable.accept_in_progress": acceptInProgress,
  "apply.next_committed": nextCommitted,
};
