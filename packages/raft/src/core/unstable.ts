import { invariant } from "../errors.ts";
import type { Entry, EntryId, Index, SnapMeta, Term } from "../types.ts";

/**
 * The part of the log that is not known to be durable: a received snapshot, then entries from `offset` on. Entries
 * below `inProgress` have been handed out for writing already, so they are not handed out twice.
 */
export class Unstable {
  entries: Entry[] = [];
  offset: Index;
  inProgress: Index;
  snap: SnapMeta | null = null;
  snapInProgress = false;

  /** `offset` is one past the last durable entry. */
  constructor(offset: Index) {
    this.offset = offset;
    this.inProgress = offset;
  }

  /** Index of the last entry or of the snapshot here, or null when there is neither. */
  lastIndex(): Index | null {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snap === null ? null : this.snap.id.index;
  }

  firstIndex(): Index | null {
    return this.snap === null ? null : this.snap.id.index + 1;
  }

  /** The term at `i` if this part of the log decides it, else null. */
  term(i: Index): Term | null {
    if (i < this.offset) return this.snap !== null && this.snap.id.index === i ? this.snap.id.term : null;
    const entry = this.entries[i - this.offset];
    return entry === undefined ? null : entry.term;
  }

  /** Entries that nobody is writing yet. */
  nextEntries(): Entry[] {
    return this.inProgress === this.offset ? this.entries.slice() : this.entries.slice(this.inProgress - this.offset);
  }

  hasNext(): boolean {
    return this.inProgress < this.offset + this.entries.length || (this.snap !== null && !this.snapInProgress);
  }

  nextSnap(): SnapMeta | null {
    return this.snapInProgress ? null : this.snap;
  }

  /** Everything here has been handed out for writing. */
  acceptInProgress(): void {
    this.inProgress = this.offset + this.entries.length;
    if (this.snap !== null) this.snapInProgress = true;
  }

  /**
   * Entries up to `id` are durable. Ignored when the entry at that index is another one by now: the write that
   * completed was overtaken by a truncation, and a later write will name the entry that replaced it.
   */
  stableTo(id: EntryId): void {
    if (id.index < this.offset || this.term(id.index) !== id.term) return;
    this.entries = this.entries.slice(id.index + 1 - this.offset);
    this.offset = id.index + 1;
    this.inProgress = Math.max(this.inProgress, this.offset);
  }

  stableSnapTo(index: Index): void {
    if (this.snap === null || this.snap.id.index !== index) return;
    this.snap = null;
    this.snapInProgress = false;
  }

  /** The whole log is replaced by a snapshot. */
  restore(snap: SnapMeta): void {
    this.offset = snap.id.index + 1;
    this.inProgress = this.offset;
    this.entries = [];
    this.snap = snap;
    this.snapInProgress = false;
  }

  /** Entries from `entries[0].index` on replace whatever stood there. They must reach back to, or connect with, what is here. */
  append(entries: readonly Entry[]): void {
    const from = entries[0]!.index;
    const end = this.offset + this.entries.length;
    invariant(from <= end, "A1 an append leaves no hole in the log");
    if (from === end) {
      for (const e of entries) this.entries.push(e);
    } else if (from <= this.offset) {
      this.entries = entries.slice();
      this.offset = from;
      this.inProgress = from;
    } else {
      this.entries.length = from - this.offset;
      for (const e of entries) this.entries.push(e);
      this.inProgress = Math.min(this.inProgress, from);
    }
  }
}
