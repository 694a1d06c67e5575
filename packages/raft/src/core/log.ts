import { Broken } from "../errors.ts";
import { type Entry, type EntryId, type Index, Kind, type LogView, type SnapMeta, type Term } from "../types.ts";
import { Unstable } from "./unstable.ts";

/** Answers of {@link RaftLog.term} where there is no term. Real terms are never negative. */
export const compacted = -1;
export const beyond = -2;

/** A run of entries handed out to be applied: its last index, and the bytes it holds against the limit. */
interface Page {
  readonly last: Index;
  readonly bytes: number;
}

/**
 * The log as this member sees it: the durable part behind a {@link LogView}, the unstable tail above it, and three
 * cursors: applied <= applying <= committed. `applying` is the last entry handed out to be applied.
 */
export class RaftLog {
  readonly view: LogView;
  readonly unstable: Unstable;
  readonly maxApplyBytes: number;
  committed: Index;
  applying: Index;
  applied: Index;
  /** The commit index that is durable here. It may lag behind `committed`, but not behind a membership change that was applied. */
  durableCommit: Index;
  /** The membership change that waits for its commit to be durable, or 0. */
  heldConfig: Index = 0;
  private pages: Page[] = [];
  private pageBytes = 0;

  constructor(view: LogView, last: EntryId, committed: Index, applied: Index, maxApplyBytes: number) {
    this.view = view;
    this.unstable = new Unstable(last.index + 1);
    this.committed = committed;
    this.durableCommit = committed;
    this.applying = applied;
    this.applied = applied;
    this.maxApplyBytes = maxApplyBytes;
  }

  firstIndex(): Index {
    return this.unstable.firstIndex() ?? this.view.first();
  }

  lastIndex(): Index {
    return this.unstable.lastIndex() ?? this.unstable.offset - 1;
  }

  last(): EntryId {
    const index = this.lastIndex();
    return { term: this.knownTerm(index), index };
  }

  /** Last entry known to be durable here. */
  durableIndex(): Index {
    return this.unstable.offset - 1;
  }

  /** The term of entry `i`, {@link compacted} or {@link beyond}. The index before the first entry still has its term. */
  term(i: Index): Term {
    const term = this.unstable.term(i);
    if (term !== null) return term;
    if (i >= this.unstable.offset) return beyond;
    if (this.unstable.snap !== null) return compacted;
    const stored = this.view.term(i);
    if (stored === "compacted") return compacted;
    return stored === "beyond" ? beyond : stored;
  }

  /** The term of an entry that must be there. */
  knownTerm(i: Index): Term {
    const term = this.term(i);
    if (term < 0) throw new Broken(`A1 the term of entry ${i} is known (log from ${this.firstIndex()} to ${this.lastIndex()})`);
    return term;
  }

  matches(id: EntryId): boolean {
    return this.term(id.index) === id.term;
  }

  /** A log with this last entry holds everything that this one may have committed. */
  isUpToDate(last: EntryId): boolean {
    const own = this.last();
    return last.term > own.term || (last.term === own.term && last.index >= own.index);
  }

  /** Entries [lo, hi), stopping before the one that would exceed `maxBytes` of payload, but always at least one. */
  read(lo: Index, hi: Index, maxBytes: number): readonly Entry[] | "compacted" {
    if (lo < this.firstIndex()) return "compacted";
    if (lo > hi || hi > this.lastIndex() + 1)
      throw new Broken(`A1 entries ${lo}..${hi} lie within the log (last ${this.lastIndex()})`);
    const { offset } = this.unstable;
    if (lo >= hi) return [];
    if (lo >= offset) return this.readTail(lo, hi, maxBytes);
    const stored = this.view.read(lo, Math.min(hi, offset), maxBytes);
    if (stored === "compacted" || hi <= offset) return stored;
    if (stored.length < offset - lo) return stored;
    const left = maxBytes - payloadBytes(stored);
    const tail = this.unstable.entries[0]!;
    return left < tail.data.length ? stored : [...stored, ...this.readTail(offset, hi, left)];
  }

  /** First index at which `entries` differ from this log or go beyond it; 0 when all of them are here already. */
  findConflict(entries: readonly Entry[]): Index {
    for (const e of entries) if (this.term(e.index) !== e.term) return e.index;
    return 0;
  }

  /**
   * The highest position at or below `index` whose term is at most `term`, or unknown because it is compacted. It is where
   * a log that has `term` at `index` may still agree with this one. The term reported is 0 where it is unknown.
   */
  findConflictByTerm(index: Index, term: Term): EntryId {
    let low = this.firstIndex() - 1;
    if (index < low || index > this.lastIndex()) return { term: 0, index };
    if (this.knownTerm(low) > term) return { term: 0, index: low - 1 };
    // Terms never fall along a log, so halving finds it.
    for (let high = index; low < high;) {
      const middle = low + Math.ceil((high - low) / 2);
      if (this.knownTerm(middle) <= term) low = middle;
      else high = middle - 1;
    }
    return { term: this.knownTerm(low), index: low };
  }

  /** Puts entries at their indexes, cutting off whatever else stood there. Committed entries never change. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    if (entries[0]!.index <= this.committed) {
      throw new Broken(`A1 committed entries are never replaced: ${entries[0]!.index} at or below commit ${this.committed}`);
    }
    this.unstable.append(entries);
  }

  /**
   * A follower's append: when this log has `prev`, takes the entries that are new, commits up to `commit` as far as
   * this message vouches for it, and returns the last index vouched for. -1 when `prev` is not here.
   */
  maybeAppend(prev: EntryId, entries: readonly Entry[], commit: Index): Index {
    if (!this.matches(prev)) return -1;
    const lastNew = prev.index + entries.length;
    const conflict = this.findConflict(entries);
    if (conflict !== 0) {
      if (conflict <= this.committed) {
        throw new Broken(`A1 entry ${conflict} conflicts with what is committed here (commit ${this.committed})`);
      }
      this.append(conflict === prev.index + 1 ? entries : entries.slice(conflict - prev.index - 1));
    }
    this.commitTo(Math.min(commit, lastNew));
    return lastNew;
  }

  /** Never lowers the commit index; never goes past the last entry. */
  commitTo(index: Index): void {
    if (index <= this.committed) return;
    if (index > this.lastIndex()) {
      throw new Broken(`A1 commit ${index} lies within the log (last ${this.lastIndex()}): was acknowledged data lost here?`);
    }
    this.committed = index;
  }

  /** The log is replaced by a snapshot, to be made durable by the next write. */
  restore(snap: SnapMeta): void {
    this.unstable.restore(snap);
    this.committed = snap.id.index;
  }

  /** Committed and durable here, and not handed out yet, unless something holds it back (see {@link nextApply}). */
  hasNextApply(): boolean {
    const next = this.applying + 1;
    if (next > this.applicable() || this.pageBytes >= this.maxApplyBytes || this.unstable.snap !== null) return false;
    return next !== this.heldConfig || this.heldConfig <= this.durableCommit;
  }

  /**
   * The next run to apply, at most as many bytes as the limit on outstanding ones leaves (but at least one entry). It ends
   * before a membership change whose commit is not durable: a member that acted on a change and restarts must find it
   * committed, for those that it removed may be gone for good, and with them the quorum that could say so again.
   */
  nextApply(): readonly Entry[] {
    if (!this.hasNextApply()) return [];
    const page = this.read(this.applying + 1, this.applicable() + 1, this.maxApplyBytes - this.pageBytes);
    if (page === "compacted") throw new Broken(`A12 entry ${this.applying + 1} was compacted before it was applied`);
    const held = page.findIndex((e) => e.kind === Kind.config && e.index > this.durableCommit);
    if (held >= 0) this.heldConfig = page[held]!.index;
    const entries = held < 0 ? page : page.slice(0, held);
    if (entries.length === 0) return entries;
    const bytes = payloadBytes(entries);
    this.applying = entries[entries.length - 1]!.index;
    this.pages.push({ last: this.applying, bytes });
    this.pageBytes += bytes;
    return entries;
  }

  appliedTo(index: Index): void {
    if (index > this.applying) throw new Broken(`A9 applied ${index} was handed out (up to ${this.applying})`);
    // A report that a snapshot has overtaken.
    if (index <= this.applied) return;
    this.applied = index;
    let done = 0;
    while (done < this.pages.length && this.pages[done]!.last <= index) this.pageBytes -= this.pages[done++]!.bytes;
    if (done > 0) this.pages = this.pages.slice(done);
  }

  /** A snapshot at `index` is durable: it stands for everything up to there, applied. */
  appliedSnap(index: Index): void {
    this.unstable.stableSnapTo(index);
    if (index <= this.applied) return;
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.pages = [];
    this.pageBytes = 0;
  }

  /** Whether a membership change is committed and not applied. Read in pages, so that a long backlog costs bounded memory. */
  hasUnappliedConfig(): boolean {
    for (let lo = this.applied + 1; lo <= this.committed;) {
      const page = this.read(lo, this.committed + 1, this.maxApplyBytes);
      if (page === "compacted") throw new Broken(`A12 entry ${lo} was compacted before it was applied`);
      for (const e of page) if (e.kind === Kind.config) return true;
      lo += page.length;
    }
    return false;
  }

  private applicable(): Index {
    return Math.min(this.committed, this.unstable.offset - 1);
  }

  private readTail(lo: Index, hi: Index, maxBytes: number): readonly Entry[] {
    const { entries, offset } = this.unstable;
    let bytes = 0;
    let end = lo - offset;
    const limit = hi - offset;
    for (; end < limit; end++) {
      bytes += entries[end]!.data.length;
      if (bytes > maxBytes && end > lo - offset) break;
    }
    return entries.slice(lo - offset, end);
  }
}

/** The sum of the entries' payloads, in bytes. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const e of entries) bytes += e.data.length;
  return bytes;
}
