import { Broken, invariant } from "@aether/raft/errors";
import type { AppendBatch, Entry, EntryId, HardState, Index, LogView, SnapMeta } from "@aether/raft/types";

/** What a group of batches comes to when it is written at once. */
export interface Plan {
  readonly hard: HardState;
  /** The newest snapshot that the group installs. */
  readonly snap: SnapMeta | null;
  /** True when nothing of the stored log survives the snapshot: it starts anew after `snap.id`. */
  readonly anew: boolean;
  /** Stored entries above this index go. */
  readonly keep: EntryId;
  /** Follow `keep` (or, anew, the snapshot). */
  readonly entries: readonly Entry[];
  /** Something besides the commit index changed, or a synced write was asked for. */
  readonly write: boolean;
}

/**
 * Executes the batches one by one on a sketch of the log, so that one write can put down the end result. Throws
 * {@link Broken} when a batch does not fit the log or takes back what a member must never forget (A2).
 */
export function planAppend(log: LogView, hard: HardState, batches: readonly AppendBatch[]): Plan {
  const sketch = new Sketch(log);
  let now = hard;
  let snap: SnapMeta | null = null;
  let write = false;
  for (const batch of batches) {
    if (batch.hard !== null) {
      checkHard(now, batch.hard);
      // A synced batch is written even when it changes nothing: the driver judges by it whether a disk is well again.
      write ||= batch.sync || batch.hard.term !== now.term || batch.hard.vote !== now.vote;
      now = batch.hard;
    }
    if (batch.snap !== null) {
      sketch.install(batch.snap.id, batch.slice === null ? batch.last.index : batch.slice.prev.index);
      snap = batch.snap;
      write = true;
    }
    if (batch.slice !== null) {
      write ||= batch.slice.entries.length > 0 || batch.slice.prev.index < sketch.last().index;
      sketch.replaceAfter(batch.slice.prev, batch.slice.entries);
    }
    if (batch.snap !== null || batch.slice !== null) {
      const last = sketch.last();
      invariant(last.index === batch.last.index && last.term === batch.last.term, "an append ends at the entry it names as last");
    }
  }
  const last = sketch.last();
  invariant(now.commit <= last.index, `commit ${now.commit} is at most the last entry ${last.index}`);
  invariant(now.term >= last.term, `term ${now.term} is at least the last entry's term ${last.term}`);
  return { hard: now, snap, anew: sketch.anew, keep: sketch.keep, entries: sketch.entries, write };
}

function checkHard(before: HardState, after: HardState): void {
  invariant(after.term >= before.term, `A2 term ${after.term} follows term ${before.term}`);
  invariant(after.commit >= before.commit, `A2 commit ${after.commit} follows commit ${before.commit}`);
  const kept = after.term > before.term || before.vote === 0 || after.vote === before.vote;
  invariant(kept, `A2 the vote for ${before.vote} in term ${before.term} stands`);
}

/** The log up to `keep` as stored (nothing of it when `anew`), then `entries`. */
class Sketch {
  readonly #log: LogView;
  #floor: EntryId;
  keep: EntryId;
  anew = false;
  entries: readonly Entry[] = [];

  constructor(log: LogView) {
    this.#log = log;
    const before = log.first() - 1;
    this.#floor = { index: before, term: this.#stored(before) };
    this.keep = log.last();
  }

  last(): EntryId {
    const entry = this.entries.at(-1);
    return entry === undefined ? this.keep : { term: entry.term, index: entry.index };
  }

  /** The snapshot replaces what it covers. Entries above it stay, up to `target`, only when the log holds the snapshot's own entry. */
  install(id: EntryId, target: Index): void {
    invariant(id.index > this.#floor.index, `snapshot ${id.index} is newer than the compaction point ${this.#floor.index}`);
    if (id.index > this.last().index || this.#term(id.index) !== id.term) {
      this.#startAfter(id, []);
    } else {
      if (target < this.last().index) this.#cutTo(target);
      if (id.index > this.keep.index) this.#startAfter(id, this.entries.slice(id.index - this.keep.index));
    }
    this.#floor = id;
  }

  replaceAfter(prev: EntryId, entries: readonly Entry[]): void {
    const last = this.last();
    invariant(
      prev.index >= this.#floor.index && prev.index <= last.index,
      `entries after ${prev.index} join a log that ends at ${last.index}`,
    );
    invariant(this.#term(prev.index) === prev.term, `entries after ${prev.index} follow the term of that entry`);
    checkRun(prev, entries);
    this.#cutTo(prev.index);
    this.entries = this.entries.length === 0 ? entries : this.entries.concat(entries);
  }

  #cutTo(index: Index): void {
    if (index >= this.keep.index) this.entries = this.entries.slice(0, index - this.keep.index);
    else {
      this.keep = { index, term: this.#term(index) };
      this.entries = [];
    }
  }

  #startAfter(id: EntryId, entries: readonly Entry[]): void {
    this.anew = true;
    this.keep = id;
    this.entries = entries;
  }

  #term(index: Index): number {
    if (index === this.#floor.index) return this.#floor.term;
    if (index > this.keep.index) return (this.entries[index - this.keep.index - 1] as Entry).term;
    return index === this.keep.index ? this.keep.term : this.#stored(index);
  }

  #stored(index: Index): number {
    const term = this.#log.term(index);
    if (typeof term === "string") throw new Broken(`the term of entry ${index} is ${term}`);
    return term;
  }
}

function checkRun(prev: EntryId, entries: readonly Entry[]): void {
  let { term, index } = prev;
  for (const entry of entries) {
    invariant(entry.index === index + 1, `entry ${entry.index} follows entry ${index}`);
    invariant(entry.term >= term, `entry ${entry.index} has a term of at least ${term}`);
    term = entry.term;
    index = entry.index;
  }
}
